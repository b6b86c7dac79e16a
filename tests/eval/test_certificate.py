from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.certificate import Certificate, certificate_digest, certify, decode_certificate
from radimpress.eval.gate import Outcome, Rule, Verdict
from radimpress.eval.score import Scores, System
from radimpress.reports.errors import InputError
from radimpress.reports.files import canonical
from radimpress.reports.report import Modality

_DIFFERENCE = Estimate(0.0123456789, -0.01, 0.03, 40, 38)
PASSED = Verdict(Cell(Modality.CT, "list"), Outcome.PASS, "better – by far", "base", "", 40, _DIFFERENCE)
OPEN = Verdict(Cell(Modality.MR, ANY), Outcome.INSUFFICIENT, "0 cases, 30 needed", "unified", "e" * 64, 0, None)
OVERALL = Verdict(None, Outcome.REGRESSION, "worse", "base", "", 40, _DIFFERENCE)
CERTIFICATE = Certificate(
    "unified", "d" * 64, "b" * 64, "c" * 64, "a" * 64, "1", Rule(minimum=31), (PASSED, OPEN), OVERALL
)


def test_a_certificate_reads_back_as_it_was_written() -> None:
    assert decode_certificate(CERTIFICATE.encode()) == CERTIFICATE


def test_equal_certificates_have_equal_bytes() -> None:
    assert decode_certificate(CERTIFICATE.encode()).encode() == CERTIFICATE.encode()
    assert replace(CERTIFICATE, digest="f" * 64).encode() != CERTIFICATE.encode()


def test_only_slices_that_passed_may_be_served_and_overall_opens_none() -> None:
    assert CERTIFICATE.passed == (PASSED,)
    assert replace(CERTIFICATE, verdicts=(OPEN,), overall=replace(OVERALL, outcome=Outcome.PASS)).passed == ()


def test_one_byte_changed_anywhere_is_another_digest_or_refused() -> None:
    data = CERTIFICATE.encode()
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert certificate_digest(changed) != certificate_digest(data)
        try:
            decoded = decode_certificate(changed)
        except InputError:
            continue
        assert decoded != CERTIFICATE


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
    with pytest.raises(InputError, match="cannot be read"):
        decode_certificate(canonical(data) + b"\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"metric": "rouge1"},
        {"rule": {"minimum": 0}},
        {"rule": {"other": 1}},
        {"verdicts": [{}]},
        {"verdicts": 3},
        {"overall": None},
    ],
)
def test_a_certificate_with_a_wrong_value_is_refused(changes: dict[str, Any]) -> None:
    data = {**json.loads(CERTIFICATE.encode()), **changes}
    with pytest.raises(InputError):
        decode_certificate(canonical(data) + b"\n")


@pytest.mark.parametrize("outcome", ["pass", "MAYBE", "", None])
def test_an_outcome_that_is_none_is_refused(outcome: str | None) -> None:
    data = json.loads(CERTIFICATE.encode())
    data["verdicts"][1]["outcome"] = outcome
    with pytest.raises(InputError):
        decode_certificate(canonical(data) + b"\n")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe\xff", b"[" * 100_000])
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        decode_certificate(data)


def test_certifying_binds_verdicts_to_the_digests_that_were_judged() -> None:
    scores = Scores((), {"unified": System("unified", "d" * 64, "b" * 64, {})}, "a" * 64, "c" * 64, "1")
    assert certify(scores, "unified", [PASSED, OPEN], OVERALL, Rule(minimum=31)) == CERTIFICATE
