from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from radimpress.eval.certificate import certificate_digest, decode_certificate
from radimpress.eval.gate import Outcome
from radimpress.eval.signing import public_of
from radimpress.eval.waiver import make_waiver, span
from radimpress.reports.errors import (
    BundleError,
    ConflictError,
    DamageError,
    DigestError,
    GateError,
    InputError,
    NotFoundError,
    RadimpressError,
)
from radimpress.server.registry import Registry
from radimpress.server.routes import AdapterVersion, Trial, TrialKind, TrialPlan
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS
from tests.server.conftest import (
    CLINICS,
    CT_ANY,
    CT_LIST,
    FAKE_BASE,
    MR_LIST,
    Site,
    certificate,
    change_byte,
    clusters,
    make_bundle,
)

Another = Callable[..., Registry]
KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([at] * 32)) for at in (1, 2))


def _same_routes(site: Site, number: int, other: int) -> bool:
    one, two = site.registry.table(number), site.registry.table(other)
    return (one.entries, one.clinics, one.clusters_digest) == (two.entries, two.clinics, two.clusters_digest)


def test_without_clusters_there_is_no_route_table(database_url: str, tmp_path: Path) -> None:
    with closing(Registry(database_url, tmp_path)) as empty, pytest.raises(NotFoundError, match="adopt clusters first"):
        empty.table()


def test_adopting_makes_the_first_table_and_sends_everything_to_base(site: Site) -> None:
    table = site.registry.table()
    assert (table.number, table.entries, table.clinics) == (1, {}, CLINICS)
    assert table.clusters_digest == clusters().digest


def test_adopting_the_same_clusters_again_changes_nothing(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    assert site.registry.adopt(clusters()).number == 2
    assert site.registry.table().entries


def test_adopting_other_clusters_sends_everything_to_base(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    table = site.registry.adopt(clusters({"alder": "telegraphic"}))
    assert (table.number, table.entries, table.clinics) == (3, {}, {"alder": "telegraphic"})


def test_a_registered_adapter_is_what_its_files_are(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    assert (adapter.name, adapter.version, adapter.rank) == ("unified", 1, 2)
    assert adapter.digest == hashlib.sha256((site.first.path / WEIGHTS).read_bytes()).hexdigest()
    assert adapter.manifest_digest == hashlib.sha256((site.first.path / MANIFEST).read_bytes()).hexdigest()
    assert (adapter.base_name, adapter.base_digest) == ("tiny-phi3", FAKE_BASE)
    assert adapter.path == site.path(site.first)


def test_registering_the_same_weights_again_keeps_their_version(site: Site) -> None:
    first = site.registry.register(site.path(site.first))
    assert site.registry.register(site.path(site.first)) == first
    assert len(site.registry.adapters()) == 1


def test_other_weights_of_the_same_name_get_the_next_version(site: Site, tiny_folder: Path) -> None:
    site.registry.register(site.path(site.first))
    other = make_bundle(tiny_folder, site.bundles, seed=9, base=FAKE_BASE)
    assert str(site.registry.register(site.path(other))) == "unified@2"
    assert site.registry.adapter("unified").digest == other.digest
    assert site.registry.adapter("unified", 1).digest == site.first.digest


def test_versions_are_counted_by_name(site: Site) -> None:
    made = [site.registry.register(site.path(bundle)) for bundle in (site.first, site.second)]
    assert [str(adapter) for adapter in made] == ["unified@1", "cluster-list@1"]


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../x", "unified/../..", "unified/../../x", "/etc", "/", "../bundles", "unified/.."]
)
def test_a_path_that_is_not_inside_the_bundle_folder_is_refused(site: Site, path: str) -> None:
    with pytest.raises(InputError, match=r"path: .* is not inside the bundle folder"):
        site.registry.register(path)


def test_a_link_out_of_the_bundle_folder_is_refused(site: Site) -> None:
    outside = site.root / "outside"
    site.first.path.rename(outside)
    (site.bundles / "link").symlink_to(outside)
    with pytest.raises(InputError):
        site.registry.register("link")


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_path_that_no_file_can_have_is_refused(site: Site, path: str) -> None:
    with pytest.raises((InputError, NotFoundError)):
        site.registry.register(path)


@pytest.mark.parametrize("path", ["nothing", "unified"])
def test_a_folder_that_is_no_bundle_is_not_found(site: Site, path: str) -> None:
    with pytest.raises(NotFoundError):
        site.registry.register(path)


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
def test_a_bundle_with_a_changed_file_is_not_registered(site: Site, file: str) -> None:
    change_byte(site.first.path / file)
    with pytest.raises(DigestError):
        site.registry.register(site.path(site.first))
    assert not site.registry.adapters()


def test_an_adapter_that_nobody_registered_is_not_found(site: Site) -> None:
    site.registry.register(site.path(site.first))
    for name, version in (("nobody", 0), ("unified", 2), ("unified", -1), ("", 0)):
        with pytest.raises(NotFoundError):
            site.registry.adapter(name, version)


def test_a_registered_bundle_is_found_again(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    assert site.registry.bundle(adapter) == site.first


def test_a_changed_manifest_is_refused(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    manifest = {**site.first.manifest, "note": "later"}
    (site.first.path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError, match="not the one that was registered"):
        site.registry.bundle(adapter)


def test_a_bundle_in_the_place_of_another_is_refused(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    site.first.path.rename(site.root / "away")
    site.second.path.rename(site.first.path)
    with pytest.raises(BundleError):
        site.registry.bundle(adapter)


def test_a_bundle_that_is_gone_is_an_error(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    site.first.path.rename(site.root / "away")
    with pytest.raises(RadimpressError):
        site.registry.bundle(adapter)


def test_an_adapter_gets_the_slices_that_its_certificate_passes_and_no_other(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    given = certificate(adapter, CT_LIST, CT_ANY)
    table = site.registry.promote(adapter, given)
    assert table.number == 2
    assert {cell: entry.adapter for cell, entry in table.entries.items()} == {CT_LIST: adapter, CT_ANY: adapter}
    assert {entry.certificate_digest for entry in table.entries.values()} == {certificate_digest(given)}
    assert table.cause == "promote unified@1"


def test_what_was_promoted_stays_when_another_gets_other_slices(site: Site) -> None:
    first, second = site.promote(site.first, CT_LIST), site.promote(site.second, MR_LIST)
    entries = site.registry.table().entries
    assert {cell: entry.adapter for cell, entry in entries.items()} == {CT_LIST: first, MR_LIST: second}


def test_an_earlier_table_is_as_it_was(site: Site, another: Another) -> None:
    site.promote(site.first, CT_LIST)
    before = site.registry.table(2)
    site.promote(site.second, MR_LIST)
    assert another().table(2) == before


def test_an_adapter_judged_against_the_incumbent_takes_its_slice(site: Site) -> None:
    first = site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    table = site.registry.promote(second, certificate(second, CT_LIST, incumbent=first))
    assert table.entries[CT_LIST].adapter == second


def test_an_adapter_judged_against_base_does_not_take_an_incumbents_slice(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    with pytest.raises(GateError, match="judged against base, which does not serve it now"):
        site.registry.promote(second, certificate(second, CT_LIST, MR_LIST))


def test_an_adapter_judged_against_a_trivial_system_does_not_take_bases_slice(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    trivial = replace(adapter, name="constant", digest="")
    with pytest.raises(GateError, match="judged against constant, which does not serve it now"):
        site.registry.promote(adapter, certificate(adapter, CT_LIST, incumbent=trivial))
    assert site.registry.table().number == 1


def test_an_adapter_judged_against_one_that_left_is_refused(site: Site) -> None:
    first = site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    site.registry.rollback()
    with pytest.raises(GateError, match="judged against unified"):
        site.registry.promote(second, certificate(second, CT_LIST, incumbent=first))


def test_promoting_with_the_same_certificate_again_is_allowed(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    given = certificate(adapter, CT_LIST)
    site.registry.promote(adapter, given)
    assert site.registry.promote(adapter, given).number == 3
    assert _same_routes(site, 2, 3)


@pytest.mark.parametrize("outcome", [Outcome.REGRESSION, Outcome.INSUFFICIENT])
def test_a_certificate_that_passes_nothing_is_refused(site: Site, outcome: Outcome) -> None:
    adapter = site.registry.register(site.path(site.first))
    with pytest.raises(GateError, match="passes unified@1 in no slice"):
        site.registry.promote(adapter, certificate(adapter, CT_LIST, outcome=outcome))


def test_a_certificate_that_passes_only_everything_together_is_refused(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    with pytest.raises(GateError):
        site.registry.promote(adapter, certificate(adapter))


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("clusters", {"clusters_digest": "e" * 64}),
        ("base", {"base_digest": "e" * 64}),
        ("prompt", {"prompt_version": "0"}),
    ],
)
def test_a_certificate_about_something_else_is_refused(site: Site, what: str, given: dict[str, Any]) -> None:
    adapter = site.registry.register(site.path(site.first))
    with pytest.raises(GateError, match=f"judged another {what}"):
        site.registry.promote(adapter, certificate(adapter, CT_LIST, **given))


def test_a_certificate_of_another_adapter_is_refused(site: Site) -> None:
    first, second = (site.registry.register(site.path(bundle)) for bundle in (site.first, site.second))
    with pytest.raises(GateError, match="judged another adapter"):
        site.registry.promote(first, certificate(second, CT_LIST))


def test_a_certificate_with_any_one_byte_changed_is_refused_by_name(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    data = certificate(adapter, CT_LIST)
    for at in range(len(data)):
        with pytest.raises(InputError, match="certificate"):
            site.registry.promote(adapter, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert site.registry.promote(adapter, data).number == 2


def test_an_expired_certificate_is_refused_by_name(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    issued, expires = span(datetime(2026, 1, 1, tzinfo=UTC), 90)
    with pytest.raises(GateError, match="the certificate expired on 2026-04-01T00:00:00"):
        site.registry.promote(adapter, certificate(adapter, CT_LIST, issued=issued, expires=expires))


def test_a_certificate_that_lacks_a_slice_is_refused_by_name(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    with pytest.raises(GateError, match="CT/any: the certificate has 0 verdicts on this slice"):
        site.registry.promote(adapter, certificate(adapter, CT_LIST, slices=(CT_LIST, CT_ANY)))


def test_a_new_version_must_be_judged_wherever_the_old_one_serves(site: Site, tiny_folder: Path) -> None:
    site.promote(site.first, CT_LIST, MR_LIST)
    newer = site.registry.register(site.path(make_bundle(tiny_folder, site.bundles, seed=9, base=FAKE_BASE)))
    old = site.registry.adapter("unified", 1)
    with pytest.raises(GateError, match="MR/list: unified@1 serves this slice and the certificate has no verdict"):
        site.registry.promote(newer, certificate(newer, CT_LIST, incumbent=old))
    assert site.registry.promote(newer, certificate(newer, CT_LIST, MR_LIST, incumbent=old)).number == 3


def test_with_trusted_keys_only_their_certificates_are_taken(site: Site, another: Another) -> None:
    adapter = site.registry.register(site.path(site.first))
    strict = another(frozenset([public_of(KEY)]))
    for given, word in (
        (certificate(adapter, CT_LIST), "is not signed"),
        (certificate(adapter, CT_LIST, key=OTHER_KEY), "is not a trusted key"),
    ):
        with pytest.raises(GateError, match=word):
            strict.promote(adapter, given)
    assert strict.promote(adapter, certificate(adapter, CT_LIST, key=KEY)).number == 2


def _waived(adapter: AdapterVersion, outcome: Outcome = Outcome.INSUFFICIENT, **span: Any) -> bytes:
    judged = decode_certificate(certificate(adapter, MR_LIST, outcome=outcome))
    given = {"days": 30, **span}
    waiver = make_waiver(MR_LIST, "Dr A. Alder", "rare, and read twice", judged.judgement, KEY, **given)
    return judged.waived(waiver).encode()


@pytest.mark.parametrize("outcome", [Outcome.INSUFFICIENT, Outcome.REGRESSION])
def test_a_waiver_opens_its_slice_and_shows_in_the_table(site: Site, another: Another, outcome: Outcome) -> None:
    adapter = site.registry.register(site.path(site.first))
    made = site.registry.promote(adapter, _waived(adapter, outcome))
    assert made.entries[MR_LIST].adapter == adapter
    assert made.entries[MR_LIST].waiver.startswith("waived by Dr A. Alder until ")
    site.promote(site.second, CT_LIST)
    later = another().table()
    assert later.entries[MR_LIST] == made.entries[MR_LIST]
    assert later.entries[CT_LIST].waiver == ""


def test_an_expired_waiver_opens_nothing(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    with pytest.raises(GateError, match="MR/list: the waiver expired on"):
        site.registry.promote(adapter, _waived(adapter, now=datetime(2026, 1, 1, tzinfo=UTC)))


def test_with_trusted_keys_a_waiver_needs_one_too(site: Site, another: Another) -> None:
    adapter = site.registry.register(site.path(site.first))
    strict = another(frozenset([public_of(OTHER_KEY)]))
    judged = decode_certificate(certificate(adapter, MR_LIST, CT_LIST, outcome=Outcome.INSUFFICIENT, key=OTHER_KEY))
    waiver = make_waiver(MR_LIST, "Dr A. Alder", "rare", judged.judgement, KEY, days=30)
    with pytest.raises(GateError, match="MR/list: the waiver is signed by"):
        strict.promote(adapter, judged.waived(waiver).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"not json", b"[" * 200_000])
def test_a_certificate_that_is_none_is_refused(site: Site, data: bytes) -> None:
    adapter = site.registry.register(site.path(site.first))
    with pytest.raises(InputError, match="certificate"):
        site.registry.promote(adapter, data)


def test_a_certificate_written_otherwise_is_refused(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    spaced = json.dumps(json.loads(certificate(adapter, CT_LIST))).encode()
    with pytest.raises(InputError, match="canonical"):
        site.registry.promote(adapter, spaced)


def test_what_is_refused_changes_nothing(site: Site) -> None:
    adapter = site.promote(site.first, CT_LIST)
    for given in (b"{}", certificate(adapter, MR_LIST, prompt_version="0"), certificate(adapter)):
        with pytest.raises(RadimpressError):
            site.registry.promote(adapter, given)
    assert site.registry.table().number == 2


def test_a_table_that_is_no_longer_current_is_a_conflict(site: Site) -> None:
    adapter = site.promote(site.first, CT_LIST)
    with pytest.raises(ConflictError, match="is 2, not 1"):
        site.registry.promote(adapter, certificate(adapter, MR_LIST), expected=1)
    with pytest.raises(ConflictError, match="is 2, not 1"):
        site.registry.rollback(1, expected=1)
    assert site.registry.promote(adapter, certificate(adapter, MR_LIST), expected=2).number == 3


def test_going_back_copies_the_table_before(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    table = site.registry.rollback()
    assert (table.number, table.cause) == (4, "rollback to table 2")
    assert _same_routes(site, 4, 2)


def test_going_back_reaches_any_table(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    site.registry.rollback(1)
    assert _same_routes(site, 4, 1)
    site.registry.rollback(3)
    assert _same_routes(site, 5, 3)


def test_going_back_over_other_clusters_brings_the_old_ones_back(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    site.registry.adopt(clusters({"alder": "telegraphic"}))
    assert site.registry.rollback().clinics == CLINICS
    assert _same_routes(site, 4, 2)


def test_before_the_first_table_there_is_nothing(site: Site) -> None:
    with pytest.raises(GateError, match="is the first"):
        site.registry.rollback()


@pytest.mark.parametrize("number", [2, 99, -1])
def test_a_table_that_was_never_made_is_not_found(site: Site, number: int) -> None:
    with pytest.raises(NotFoundError):
        site.registry.table(number)
    with pytest.raises(NotFoundError):
        site.registry.rollback(number)


def test_tables_and_adapters_come_newest_first_and_in_pages(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    assert [table.number for table in site.registry.tables()] == [3, 2, 1]
    assert [table.number for table in site.registry.tables(1, 1)] == [2]
    assert site.registry.tables(3) == []
    assert [adapter.name for adapter in site.registry.adapters()] == ["cluster-list", "unified"]
    assert [adapter.name for adapter in site.registry.adapters(1, 1)] == ["unified"]


def test_another_process_sees_what_was_promoted(site: Site, another: Another) -> None:
    other = another()
    assert other.table().number == 1
    site.promote(site.first, CT_LIST)
    assert other.table() == site.registry.table()


def test_clusters_changed_in_the_database_are_noticed(site: Site, another: Another) -> None:
    other = another()
    with other._database.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE clusters SET clinics = '{"alder":"telegraphic"}'""")
    with pytest.raises(DamageError, match="were changed in the registry"):
        other.table()


def test_all_servers_of_a_registry_share_one_secret_and_no_other_has_it(site: Site, another: Another) -> None:
    assert len(site.registry.secret) == 32
    assert another().secret == site.registry.secret
    with closing(Registry(f"sqlite:///{site.root / 'elsewhere.db'}", site.bundles)) as elsewhere:
        assert elsewhere.secret != site.registry.secret


def test_a_preview_is_the_table_that_promoting_makes_and_writes_nothing(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    seen = site.registry.preview(adapter, certificate(adapter, CT_LIST), actor="ana")
    assert site.registry.table().number == 1
    made = site.registry.promote(adapter, certificate(adapter, CT_LIST), actor="ana")
    assert replace(seen, created=made.created) == made == site.registry.table(2)


CANARY = TrialPlan(TrialKind.CANARY, 12.5, frozenset(["alder", "birch"]))


def test_a_trial_is_kept_as_it_was_made_beside_what_serves(site: Site, another: Another) -> None:
    first = site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    given = certificate(second, CT_LIST, incumbent=first)
    made = site.registry.promote(second, given, trial=CANARY)
    entry = another().table().entries[CT_LIST]
    assert entry == made.entries[CT_LIST]
    assert entry.adapter == first
    assert entry.trial == Trial(second, certificate_digest(given), CANARY, 3)
    assert made.cause == "promote cluster-list@1 canary 12.5% of alder, birch"


def test_a_trial_where_base_serves_is_an_entry_of_base(site: Site, another: Another) -> None:
    adapter = site.registry.register(site.path(site.first))
    site.registry.promote(adapter, certificate(adapter, CT_LIST), trial=TrialPlan(TrialKind.SHADOW))
    entry = another().table().entries[CT_LIST]
    assert (entry.adapter, entry.certificate_digest) == (None, "")
    assert entry.trial is not None
    assert entry.trial.adapter == adapter


def test_a_waiver_shows_in_a_trial_too(site: Site, another: Another) -> None:
    adapter = site.registry.register(site.path(site.first))
    site.registry.promote(adapter, _waived(adapter), trial=TrialPlan(TrialKind.CANARY, 10))
    trial = another().table().entries[MR_LIST].trial
    assert trial is not None
    assert trial.waiver.startswith("waived by Dr A. Alder until ")


def test_a_trial_that_ends_leaves_what_serves(site: Site) -> None:
    first = site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    site.registry.promote(second, certificate(second, CT_LIST, incumbent=first), trial=CANARY)
    table = site.registry.end_trial(second, 3, actor="monitor", why="evidence 30")
    assert (table.number, table.cause) == (4, "end trial of cluster-list@1")
    assert _same_routes(site, 4, 2)
    with pytest.raises(NotFoundError):
        site.registry.end_trial(second)
    with pytest.raises(ConflictError, match="is 4, not 3"):
        site.registry.end_trial(second, 3)


def test_a_retired_adapter_serves_no_more(site: Site) -> None:
    adapter = site.promote(site.first, CT_LIST)
    site.registry.rollback()
    retired = site.registry.retire(adapter)
    assert retired.retired is not None
    assert site.registry.adapter("unified") == retired
    assert site.registry.retire(adapter) == retired
    for known in (adapter, retired):
        with pytest.raises(GateError, match="unified@1 was retired"):
            site.registry.promote(known, certificate(adapter, CT_LIST))
    with pytest.raises(GateError, match="unified@1 was retired"):
        site.registry.rollback(2)
    assert site.registry.table().number == 3


def test_an_adapter_that_serves_or_is_on_trial_cannot_be_retired(site: Site) -> None:
    first = site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    site.registry.promote(second, certificate(second, CT_LIST, incumbent=first), trial=CANARY)
    for adapter in (first, second):
        with pytest.raises(GateError, match=f"CT/list: route table 3 still uses {adapter}"):
            site.registry.retire(adapter)
    site.registry.end_trial(second)
    assert site.registry.retire(second).retired is not None


def test_an_adapter_of_another_registry_is_not_found(site: Site, tmp_path: Path) -> None:
    with closing(Registry(f"sqlite:///{tmp_path / 'elsewhere.db'}", site.bundles)) as elsewhere:
        elsewhere.adopt(clusters())
        adapter = elsewhere.register(site.path(site.first))
    with pytest.raises(NotFoundError, match="unified@1 is not registered"):
        site.registry.promote(adapter, certificate(adapter, CT_LIST))
    with pytest.raises(NotFoundError):
        site.registry.retire(adapter)


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG, MANIFEST])
def test_verifying_reads_every_file_anew(site: Site, file: str) -> None:
    adapter = site.registry.register(site.path(site.first))
    site.registry.verify(adapter)
    change_byte(site.first.path / file)
    with pytest.raises(BundleError):
        site.registry.verify(adapter)


def test_a_manifest_that_is_changed_and_put_back_is_the_registered_one_again(site: Site) -> None:
    adapter = site.registry.register(site.path(site.first))
    before = site.registry.bundle(adapter)
    change_byte(site.first.path / MANIFEST)
    with pytest.raises(DigestError):
        site.registry.bundle(adapter)
    change_byte(site.first.path / MANIFEST)
    assert site.registry.bundle(adapter) == before


def test_an_adapter_that_is_registered_in_another_place_is_found_there_by_every_server(
    site: Site, another: Another
) -> None:
    adapter = site.promote(site.first, CT_LIST)
    other = another()
    assert other.bundle(_serving(other)) == site.first
    site.first.path.rename(site.bundles / "moved")
    moved = site.registry.register("moved")
    assert (moved.digest, moved.path) == (adapter.digest, "moved")
    assert other.bundle(_serving(other)).path == site.bundles / "moved"


def _serving(registry: Registry) -> AdapterVersion:
    adapter = registry.table().entries[CT_LIST].adapter
    assert adapter is not None
    return adapter
