from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.certificate import Certificate, certificate_digest, certify, decode_certificate
from radimpress.eval.checks import CHECKS
from radimpress.eval.gate import Outcome, Rule, SliceRule, Verdict, judge, judge_overall
from radimpress.eval.plan import Need
from radimpress.eval.score import Judged, Scores, System
from radimpress.eval.version import code_version
from radimpress.eval.waiver import Waiver, make_waiver
from radimpress.reports.errors import GateError, InputError, RadimpressError
from radimpress.reports.files import canonical, digest_of
from radimpress.reports.report import Modality

CT_LIST, MR_ANY = Cell(Modality.CT, "list"), Cell(Modality.MR, ANY)
KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([at] * 32)) for at in (1, 2))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_DIFFERENCE = Estimate(0.0123456789, -0.01, 0.03, 40, 38)
PASSED = Verdict(CT_LIST, Outcome.PASS, "better – by far", "base", "", 40, _DIFFERENCE, improved=True)
OPEN = Verdict(
    MR_ANY,
    Outcome.INSUFFICIENT,
    "0 cases, 30 needed",
    "unified",
    "e" * 64,
    0,
    None,
    need=Need(130, 114, 0.2, False),
)
OVERALL = Verdict(None, Outcome.REGRESSION, "worse", "base", "", 40, _DIFFERENCE)
CERTIFICATE = Certificate(
    "unified",
    "d" * 64,
    "b" * 64,
    "c" * 64,
    "a" * 64,
    "1",
    Rule(minimum=31, slices={"MR/*": SliceRule(margin=0.1)}),
    (PASSED, OPEN),
    OVERALL,
    data_digest="f" * 64,
    code_version="0+0",
    issued="2026-11-24T12:00:00+00:00",
    expires="2027-02-22T12:00:00+00:00",
)


def _waiver(certificate: Certificate = CERTIFICATE, cell: Cell = MR_ANY, key: Ed25519PrivateKey = KEY) -> Waiver:
    reason = "few such studies; each one is read by Dr A"
    return make_waiver(cell, "Dr A. Alder", reason, certificate.judgement, key, days=30, now=NOW)


WAIVED = CERTIFICATE.signed(KEY).waived(_waiver())


def _envelope(changes: dict[str, Any], judgement: dict[str, Any] | None = None) -> bytes:
    """certificate.json with other content, in canonical form and with the digest that belongs to it."""
    data = json.loads(CERTIFICATE.encode())
    del data["sha256"]
    data = {**data, "judgement": {**data["judgement"], **(judgement or {})}, **changes}
    return canonical({**data, "sha256": digest_of(data)}) + b"\n"


def test_a_certificate_reads_back_as_it_was_written() -> None:
    assert decode_certificate(CERTIFICATE.encode()) == CERTIFICATE


def test_equal_certificates_have_equal_bytes() -> None:
    assert decode_certificate(CERTIFICATE.encode()).encode() == CERTIFICATE.encode()
    assert replace(CERTIFICATE, digest="f" * 64).encode() != CERTIFICATE.encode()


def test_only_slices_that_passed_may_be_served_and_overall_opens_none() -> None:
    assert CERTIFICATE.passed == (PASSED,)
    assert replace(CERTIFICATE, verdicts=(OPEN,), overall=replace(OVERALL, outcome=Outcome.PASS)).passed == ()


@pytest.mark.parametrize("certificate", [CERTIFICATE, WAIVED])
def test_one_bit_changed_anywhere_is_refused(certificate: Certificate) -> None:
    data = certificate.encode()
    for at in range(len(data)):
        for bit in (0, 1, 5):
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            assert certificate_digest(changed) != certificate_digest(data)
            with pytest.raises(InputError):
                decode_certificate(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: data.rstrip(),
        lambda data: data.replace(b":", b": ", 1),
        lambda data: json.dumps(json.loads(data), indent=2).encode(),
        lambda data: data.replace(b"31", b"31.0"),
        lambda data: data.replace("–".encode(), b"\\u2013"),
        lambda data: data.replace(b'"adapter":', b'"adapter":"other","adapter":'),
        lambda data: data.replace(b'{"adapter":', b'{"aaa":1,"adapter":'),
    ],
)
def test_the_same_content_in_other_bytes_is_refused(change: Callable[[bytes], bytes]) -> None:
    assert change(CERTIFICATE.encode()) != CERTIFICATE.encode()
    with pytest.raises(InputError):
        decode_certificate(change(CERTIFICATE.encode()))


@pytest.mark.parametrize("key", list(json.loads(CERTIFICATE.encode())))
def test_a_certificate_without_a_key_is_refused(key: str) -> None:
    data = json.loads(CERTIFICATE.encode())
    del data[key]
    with pytest.raises(InputError):
        decode_certificate(canonical(data) + b"\n")


@pytest.mark.parametrize("key", list(json.loads(CERTIFICATE.encode())["judgement"]))
def test_a_judgement_without_a_key_is_refused(key: str) -> None:
    judgement = json.loads(CERTIFICATE.encode())["judgement"]
    del judgement[key]
    with pytest.raises(InputError, match="cannot be read"):
        decode_certificate(_envelope({"judgement": judgement}))


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "rouge1"},
        {"rule": {"minimum": 0}},
        {"rule": {"other": 1}},
        {"rule": {"slices": {"MR/list": {"margins": 0.1}}}},
        {"verdicts": [{}]},
        {"verdicts": 3},
        {"overall": None},
        {"slices": [["MR"]]},
        {"slices": [["MR", 3]]},
        {"digest": 3},
        {"data_digest": None},
        {"issued": ""},
        {"expires": "2026-11-24T12:00:00"},
        {"expires": "2026-11-24T12:00:00+00:00"},
    ],
)
def test_a_certificate_with_a_wrong_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        decode_certificate(_envelope({}, changes))


def test_the_envelope_that_is_changed_here_is_otherwise_sound() -> None:
    assert decode_certificate(_envelope({}, {"adapter": "other"})) == replace(CERTIFICATE, adapter="other")


@pytest.mark.parametrize("changes", [{"format": 1}, {"format": 3}, {"waivers": 3}, {"waivers": [{}]}, {"signer": 3}])
def test_an_envelope_with_a_wrong_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        decode_certificate(_envelope(changes))


@pytest.mark.parametrize("outcome", ["pass", "MAYBE", "", None])
def test_an_outcome_that_is_none_is_refused(outcome: str | None) -> None:
    verdicts = json.loads(CERTIFICATE.encode())["judgement"]["verdicts"]
    verdicts[1]["outcome"] = outcome
    with pytest.raises(InputError):
        decode_certificate(_envelope({}, {"verdicts": verdicts}))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe\xff", b"[" * 100_000])
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        decode_certificate(data)


def test_a_signature_reads_back_and_belongs_to_its_judgement_alone() -> None:
    signed = CERTIFICATE.signed(KEY)
    assert decode_certificate(signed.encode()) == signed
    forged = replace(signed, adapter="other")
    with pytest.raises(InputError, match="signature is not of this certificate"):
        decode_certificate(forged.encode())


@pytest.mark.parametrize("changes", [{"signature": ""}, {"signer": ""}, {"signer": "zz"}, {"signature": "é"}])
def test_half_a_signature_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="signature"):
        decode_certificate(replace(CERTIFICATE.signed(KEY), **changes).encode())


def test_without_trusted_keys_nobody_need_sign_and_with_them_only_they_may() -> None:
    trusted = frozenset([CERTIFICATE.signed(KEY).signer])
    CERTIFICATE.check_signers(frozenset())
    CERTIFICATE.signed(KEY).check_signers(trusted)
    with pytest.raises(GateError, match="the certificate is not signed"):
        CERTIFICATE.check_signers(trusted)
    with pytest.raises(GateError, match="is not a trusted key"):
        CERTIFICATE.signed(OTHER_KEY).check_signers(trusted)


def test_a_waivers_signer_must_be_trusted_too() -> None:
    signed = CERTIFICATE.signed(KEY).waived(_waiver(key=OTHER_KEY))
    signed.check_signers(frozenset())
    with pytest.raises(GateError, match="MR/any: the waiver is signed by"):
        signed.check_signers(frozenset([signed.signer]))


@pytest.mark.parametrize(("after", "word"), [(-1, "yet to come"), (90, "expired"), (31, "MR/any: the waiver expired")])
def test_a_certificate_is_in_force_from_its_date_to_its_date(after: int, word: str) -> None:
    WAIVED.check_time(NOW + timedelta(days=29))
    with pytest.raises(GateError, match=word):
        WAIVED.check_time(NOW + timedelta(days=after))


def test_a_certificate_that_lacks_a_slice_or_has_one_twice_names_it() -> None:
    CERTIFICATE.check_slices()
    for verdicts in ((PASSED,), (PASSED, OPEN, OPEN)):
        with pytest.raises(GateError, match=r"MR/any: the certificate has . verdicts"):
            replace(CERTIFICATE, verdicts=verdicts).check_slices()
    with pytest.raises(GateError, match=r"MR/any: .* does not list"):
        replace(CERTIFICATE, slices=(CT_LIST,)).check_slices()


def test_a_waiver_opens_its_slice_and_shows_who_and_why() -> None:
    assert WAIVED.passed == (PASSED,)
    assert WAIVED.opened == (PASSED, OPEN)
    assert decode_certificate(WAIVED.encode()) == WAIVED
    assert str(WAIVED.waiver(MR_ANY)) == (
        "waived by Dr A. Alder until 2026-12-24: few such studies; each one is read by Dr A"
    )
    assert WAIVED.signature == CERTIFICATE.signed(KEY).signature


def test_a_waiver_of_another_judgement_or_slice_is_refused() -> None:
    other = replace(CERTIFICATE, digest="9" * 64)
    for waiver, word in (
        (_waiver(other), "another judgement"),
        (_waiver(cell=Cell(Modality.NM, ANY)), "not judged"),
        (_waiver(cell=CT_LIST), "needs no waiver"),
    ):
        with pytest.raises(GateError, match=word):
            CERTIFICATE.waived(waiver)


def test_no_waiver_opens_a_slice_in_which_a_hard_check_fired() -> None:
    hard = replace(OPEN, outcome=Outcome.REGRESSION, why="leak fired on 1 of 40 cases", hard=True)
    failed = replace(CERTIFICATE, verdicts=(PASSED, hard))
    with pytest.raises(GateError, match="MR/any: leak fired on 1 of 40 cases; no waiver opens it"):
        failed.waived(_waiver(failed))


@pytest.mark.parametrize("changes", [{"who": "Dr B"}, {"reason": "other"}, {"expires": "2036-01-01T00:00:00+00:00"}])
def test_a_waiver_that_was_changed_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="signature is not of this waiver"):
        replace(CERTIFICATE, waivers=(replace(_waiver(), **changes),)).check_waivers()


@pytest.mark.parametrize(("who", "reason"), [("", "x"), ("  ", "x"), ("x", ""), ("x" * 101, "x"), ("x", "a\nb")])
def test_a_waiver_without_a_name_or_a_reason_is_refused(who: str, reason: str) -> None:
    with pytest.raises(InputError, match="waiver"):
        make_waiver(MR_ANY, who, reason, CERTIFICATE.judgement, KEY, days=30)


def test_certifying_binds_verdicts_to_what_was_judged() -> None:
    row = {"rougeL": 0.5, **{f"check:{check.name}": 0.0 for check in CHECKS}}
    cases = tuple(Judged(f"c{at}", CT_LIST, f"p{at}", 1.0) for at in range(40))
    rows = {case.id: row for case in cases}
    systems = {
        "unified": System("unified", "d" * 64, "b" * 64, rows, None),
        "base": System("base", "", "b" * 64, rows, None),
    }
    scores, rule = Scores(cases, systems, "a" * 64, "c" * 64, "1"), Rule(days=10)
    verdicts, overall = judge(scores, "unified", {}, "base", rule), judge_overall(scores, "unified", "base", rule)
    made = certify(scores, "unified", verdicts, overall, rule, data_digest="f" * 64, now=NOW)
    bound = (made.adapter, made.digest, made.base_digest, made.clusters_digest, made.cases_digest, made.data_digest)
    assert bound == ("unified", "d" * 64, "b" * 64, "c" * 64, "a" * 64, "f" * 64)
    assert made.slices == (CT_LIST, Cell(Modality.CT, ANY))
    assert (made.issued, made.expires) == ("2026-11-24T12:00:00+00:00", "2026-12-04T12:00:00+00:00")
    assert made.code_version == code_version() != ""
    made.check_slices()
    assert decode_certificate(made.encode()) == made
    short = certify(scores, "unified", verdicts[:1], overall, rule)
    with pytest.raises(RadimpressError, match="CT/any"):
        short.check_slices()
