from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from radimpress.eval.certificate import decode_certificate
from radimpress.eval.gate import Outcome
from radimpress.eval.signing import public_of
from radimpress.eval.waiver import make_waiver
from radimpress.reports.errors import GateError, InputError, NotFoundError
from radimpress.server.rollout.plan import (
    Change,
    changes,
    check_certificate,
    check_in_service,
    promoted,
    uses,
    without_trial,
)
from radimpress.server.routes import Entry, Trial, TrialKind, TrialPlan
from tests.server.conftest import CT_ANY, CT_LIST, CT_TELEGRAPHIC, MR_LIST, certificate
from tests.server.rollout.made import CANARY, NEW, NOW, OLD, OTHER, SHADOW, judged, on_trial, table_of

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
MADE = "c" * 64


def test_a_good_certificate_is_taken() -> None:
    check_certificate(table_of(), OLD, judged(OLD, CT_LIST), frozenset())


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("base", {"base_digest": "e" * 64}),
        ("clusters", {"clusters_digest": "e" * 64}),
        ("prompt", {"prompt_version": "0"}),
    ],
)
def test_a_certificate_about_something_else_is_refused(what: str, given: dict[str, Any]) -> None:
    read = decode_certificate(certificate(OLD, CT_LIST, **given))
    with pytest.raises(GateError, match=f"judged another {what}"):
        check_certificate(table_of(), OLD, read, frozenset())


def test_a_certificate_of_another_adapter_is_refused() -> None:
    with pytest.raises(GateError, match="judged another adapter"):
        check_certificate(table_of(), NEW, judged(OLD, CT_LIST), frozenset())


def test_a_certificate_is_looked_at_in_the_moment_that_is_given() -> None:
    read = judged(OLD, CT_LIST)
    with pytest.raises(GateError, match="expired"):
        check_certificate(table_of(), OLD, read, frozenset(), NOW + timedelta(days=3650))
    with pytest.raises(GateError, match="yet to come"):
        check_certificate(table_of(), OLD, read, frozenset(), NOW - timedelta(days=3650))


def test_with_trusted_keys_an_unsigned_certificate_is_refused() -> None:
    trusted = frozenset([public_of(KEY)])
    with pytest.raises(GateError, match="is not signed"):
        check_certificate(table_of(), OLD, judged(OLD, CT_LIST), trusted)
    check_certificate(table_of(), OLD, judged(OLD, CT_LIST).signed(KEY), trusted)


def test_a_certificate_that_passes_nothing_is_refused() -> None:
    read = decode_certificate(certificate(OLD, CT_LIST, outcome=Outcome.INSUFFICIENT))
    with pytest.raises(GateError, match="passes unified@1 in no slice"):
        check_certificate(table_of(), OLD, read, frozenset())


def test_a_new_version_must_be_judged_wherever_the_old_one_serves() -> None:
    current = table_of({CT_LIST: Entry(OLD, MADE), MR_LIST: Entry(OLD, MADE), CT_ANY: Entry(None, trial=on_trial())})
    with pytest.raises(GateError, match="MR/list: unified@1 serves this slice and the certificate has no verdict"):
        check_certificate(current, NEW, judged(NEW, CT_LIST, incumbent=OLD), frozenset())
    check_certificate(current, NEW, judged(NEW, CT_LIST, MR_LIST, incumbent=OLD), frozenset())


def test_a_retired_adapter_is_refused_by_name() -> None:
    gone = replace(OLD, retired=NOW)
    with pytest.raises(GateError, match="unified@1 was retired on 2026-01-01"):
        check_certificate(table_of(), gone, judged(gone, CT_LIST), frozenset())
    check_in_service(OLD)


def test_an_adapter_gets_the_slices_that_its_certificate_passes_and_no_other() -> None:
    current = table_of({MR_LIST: Entry(OTHER, "1")})
    assert promoted(current, OLD, judged(OLD, CT_LIST, CT_ANY), MADE) == {
        MR_LIST: Entry(OTHER, "1"),
        CT_LIST: Entry(OLD, MADE),
        CT_ANY: Entry(OLD, MADE),
    }


def test_a_promotion_leaves_the_current_table_as_it_is() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1")})
    before = dict(current.entries)
    promoted(current, NEW, judged(NEW, CT_LIST, incumbent=OLD), MADE)
    promoted(current, NEW, judged(NEW, CT_LIST, incumbent=OLD), MADE, CANARY)
    assert current.entries == before


@pytest.mark.parametrize("trial", [None, CANARY, SHADOW])
def test_whoever_was_judged_against_another_gets_nothing(trial: TrialPlan | None) -> None:
    current = table_of({CT_LIST: Entry(OLD, "1")})
    with pytest.raises(GateError, match="judged against base, which does not serve it now"):
        promoted(current, NEW, judged(NEW, CT_LIST), MADE, trial)


def test_beside_base_alone_a_trial_counts_as_base_serving() -> None:
    current = table_of({CT_LIST: Entry(None, trial=on_trial())})
    assert promoted(current, NEW, judged(NEW, CT_LIST), MADE) == {CT_LIST: Entry(NEW, MADE)}


@pytest.mark.parametrize("plan", [CANARY, SHADOW])
def test_a_trial_leaves_what_serves_in_its_place(plan: TrialPlan) -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", "waived")})
    entries = promoted(current, NEW, judged(NEW, CT_LIST, incumbent=OLD), MADE, plan)
    assert entries == {CT_LIST: Entry(OLD, "1", "waived", Trial(NEW, MADE, plan, 8))}


def test_a_trial_in_a_slice_of_base_stands_beside_base() -> None:
    entries = promoted(table_of(), OLD, judged(OLD, CT_LIST), MADE, CANARY)
    assert entries == {CT_LIST: Entry(None, trial=Trial(OLD, MADE, CANARY, 8))}


def test_a_trials_waiver_is_its_own() -> None:
    read = decode_certificate(certificate(OLD, MR_LIST, outcome=Outcome.INSUFFICIENT))
    waived = read.waived(make_waiver(MR_LIST, "Dr A. Alder", "rare", read.judgement, KEY, days=30))
    entry = promoted(table_of(), OLD, waived, MADE, CANARY)[MR_LIST]
    assert entry.trial is not None
    assert entry.trial.waiver.startswith("waived by Dr A. Alder until ")
    assert entry.waiver == ""


def test_a_trial_that_is_widened_keeps_what_was_seen_of_it() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial(since=5)), MR_LIST: Entry(OLD, "1")})
    wide = TrialPlan(TrialKind.CANARY, 50)
    entries = promoted(current, NEW, judged(NEW, CT_LIST, MR_LIST, incumbent=OLD), MADE, wide)
    assert entries[CT_LIST].trial == Trial(NEW, MADE, wide, 5)
    assert entries[MR_LIST].trial == Trial(NEW, MADE, wide, 8)


def test_a_second_adapter_on_trial_in_a_slice_is_refused_by_name() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial())})
    with pytest.raises(GateError, match="CT/list: unified@2 is on trial here; end its trial first"):
        promoted(current, OTHER, judged(OTHER, CT_LIST, incumbent=OLD), MADE, CANARY)


def test_what_serves_already_is_not_tried() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1")})
    entries = promoted(current, OLD, judged(OLD, CT_LIST, CT_ANY), MADE, CANARY)
    assert entries == {CT_LIST: Entry(OLD, "1"), CT_ANY: Entry(None, trial=Trial(OLD, MADE, CANARY, 8))}
    with pytest.raises(GateError, match="there is nothing to try"):
        promoted(current, OLD, judged(OLD, CT_LIST), MADE, CANARY)


def test_a_trial_of_clinics_stands_only_where_they_fall() -> None:
    read = judged(OLD, CT_LIST, CT_TELEGRAPHIC, CT_ANY)
    for clinics, cells in (({"alder"}, {CT_LIST}), ({"elm", "birch"}, {CT_LIST, CT_TELEGRAPHIC}), ({"new"}, {CT_ANY})):
        plan = TrialPlan(TrialKind.CANARY, 100, frozenset(clinics))
        assert promoted(table_of(), OLD, read, MADE, plan).keys() == cells


@pytest.mark.parametrize("clinics", [{"aldr"}, {"alder", "elm"}])
def test_a_clinic_that_falls_nowhere_is_refused_by_name(clinics: set[str]) -> None:
    plan = TrialPlan(TrialKind.CANARY, 100, frozenset(clinics))
    with pytest.raises(InputError, match=r"trial\.clinics: '(aldr|elm)' falls in no slice"):
        promoted(table_of(), OLD, judged(OLD, CT_LIST), MADE, plan)


def test_the_adapter_on_trial_ends_its_trial_when_it_is_promoted() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial()), MR_LIST: Entry(None, trial=on_trial())})
    entries = promoted(current, NEW, judged(NEW, CT_LIST, incumbent=OLD), MADE)
    assert entries == {CT_LIST: Entry(NEW, MADE), MR_LIST: Entry(None, trial=on_trial())}


def test_another_adapter_that_is_promoted_ends_the_trial() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial())})
    after = table_of(promoted(current, OTHER, judged(OTHER, CT_LIST, incumbent=OLD), MADE), 8)
    assert after.entries == {CT_LIST: Entry(OTHER, MADE)}
    assert changes(current, after) == [
        Change(CT_LIST, "unified@1", "cluster-list@1", "unified@2 canary 10% ends"),
    ]


def test_what_serves_may_be_judged_anew_while_another_is_tried_beside_it() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial())})
    entries = promoted(current, OLD, judged(OLD, CT_LIST), MADE)
    assert entries == {CT_LIST: Entry(OLD, MADE, trial=on_trial())}


def test_a_trial_that_ends_leaves_what_serves() -> None:
    current = table_of(
        {
            CT_LIST: Entry(OLD, "1", trial=on_trial()),
            CT_ANY: Entry(None, trial=on_trial()),
            MR_LIST: Entry(OLD, "1", trial=on_trial(OTHER)),
        }
    )
    assert without_trial(current, NEW) == {
        CT_LIST: Entry(OLD, "1"),
        MR_LIST: Entry(OLD, "1", trial=on_trial(OTHER)),
    }


def test_a_trial_that_is_not_there_cannot_end() -> None:
    with pytest.raises(NotFoundError, match="unified@1 is on trial in no slice"):
        without_trial(table_of({CT_LIST: Entry(OLD, "1", trial=on_trial())}), OLD)


def test_all_that_a_table_uses_serves_or_is_tried() -> None:
    current = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial()), CT_ANY: Entry(None, trial=on_trial(OTHER))})
    assert list(uses(current)) == [(CT_ANY, OTHER), (CT_LIST, OLD), (CT_LIST, NEW)]


def test_changes_tell_who_serves_before_and_after_and_what_is_tried() -> None:
    before = table_of({CT_LIST: Entry(OLD, "1"), CT_ANY: Entry(OLD, "1"), MR_LIST: Entry(OLD, "1")})
    after = table_of({CT_LIST: Entry(NEW, "1"), CT_ANY: Entry(OLD, "1", trial=on_trial()), CT_TELEGRAPHIC: Entry(OLD)})
    assert changes(before, after) == [
        Change(CT_ANY, "unified@1", "unified@1", "unified@2 canary 10%"),
        Change(CT_LIST, "unified@1", "unified@2", ""),
        Change(CT_TELEGRAPHIC, "base", "unified@1", ""),
        Change(MR_LIST, "unified@1", "base", ""),
    ]
    assert changes(before, before) == []
