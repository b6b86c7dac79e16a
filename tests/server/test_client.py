from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from radimpress.server.client import Client
from radimpress.server.client_errors import (
    DeadlineExceededError,
    DuplicateRequestError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    TokenError,
    UnavailableError,
    failure_error,
)
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.security.caller import Role
from radimpress.server.security.tokens import entry, make_token
from radimpress.trainer.bundle import AdapterBundle
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, FAKE_BASE, FINDINGS, Site
from tests.server.pki import Authority

FIELDS = {"exam": "CT knee", "indication": "Pain after a fall", "comparison": "None of 2020"}


class Watched(FakeEngine):
    """Says when it was left before the end."""

    left = False

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """As the fake engine."""
        try:
            async for piece in super().generate(prompt, adapter, limits):
                yield piece
        except (GeneratorExit, asyncio.CancelledError):
            self.left = True
            raise


def asked(request_id: str, findings: str = FINDINGS) -> impression_pb2.BatchImpressionsRequest:
    """One report of a batch."""
    report = impression_pb2.ReportInput(findings=findings, modality="CT", clinic="alder")
    return impression_pb2.BatchImpressionsRequest(request_id=request_id, report=report)


def tokens(folder: Path, *clinics: str) -> tuple[Path, str]:
    """A file with one token of these clinics' caller, and the token."""
    token, digest = make_token()
    path = folder / "tokens.toml"
    path.write_text(entry(digest, "ris-alder", Role.CLINIC, clinics), "utf-8")
    return path, token


def test_an_answer_carries_text_and_who_wrote_it(site: Site) -> None:
    adapter = site.promote(site.first, CT_LIST)
    with site.serving() as address, Client(address) as client:
        answer = client.generate(findings=FINDINGS, modality="CT", clinic="alder", request_id="mine")
    assert (answer.request_id, answer.text) == ("mine", f"Fake impression by {adapter.digest}.")
    assert (answer.provenance.adapter, answer.provenance.digest) == ("unified", adapter.digest)


@pytest.mark.parametrize("way", ["generate", "stream"])
def test_every_field_reaches_the_prompt(site: Site, way: str) -> None:
    class Curious(FakeEngine):
        prompt = ""

        async def generate(
            self, prompt: str, adapter: AdapterBundle | None, limits: Limits
        ) -> AsyncGenerator[Piece, None]:
            self.prompt = prompt
            async for piece in super().generate(prompt, adapter, limits):
                yield piece

    engine = Curious(FAKE_BASE)
    with site.serving(engine) as address, Client(address) as client:
        given = {"findings": FINDINGS, "modality": "MRI", "clinic": "alder", **FIELDS}
        if way == "generate":
            client.generate(**given)
        else:
            list(client.stream(**given))
    assert engine.prompt == (
        f"Modality: MR\nExam: CT knee\nIndication: Pain after a fall\nComparison: None of 2020\nFindings: {FINDINGS}"
    )


def test_a_request_without_an_id_is_given_one(site: Site) -> None:
    with site.serving() as address, Client(address) as client:
        one, other = (client.generate(findings=FINDINGS).request_id for _ in range(2))
    assert uuid.UUID(one) != uuid.UUID(other)


def test_a_request_sent_again_is_answered_as_before(site: Site) -> None:
    with site.serving() as address, Client(address) as client:
        before = client.generate(findings=FINDINGS, clinic="alder", request_id="mine")
        assert client.generate(findings=FINDINGS, clinic="alder", request_id="mine") == before
        with pytest.raises(DuplicateRequestError) as caught:
            client.generate(findings=f"{FINDINGS} Or is it?", clinic="alder", request_id="mine")
    assert caught.value.code is grpc.StatusCode.ALREADY_EXISTS


def test_a_stream_ends_with_the_whole(site: Site) -> None:
    with site.serving() as address, Client(address) as client:
        events = list(client.stream(findings=FINDINGS, request_id="mine"))
    assert events[0].HasField("started")
    assert "".join(event.piece for event in events) == events[-1].completed.text
    assert (events[-1].completed.request_id, events[-1].completed.text) == ("mine", "Fake impression by base.")


def test_a_stream_that_is_left_ends_the_request(site: Site) -> None:

    engine = Watched(FAKE_BASE, delay=0.2)
    with site.serving(engine) as address, Client(address) as client:
        for event in client.stream(findings=FINDINGS):
            if event.HasField("piece"):
                break
    assert engine.left


def test_a_batch_answers_each_report_and_one_fault_ends_nobody_else(site: Site) -> None:
    requests = [asked(f"r{number}", "" if number == 3 else f"{FINDINGS} Case {number}.") for number in range(8)]
    with site.serving() as address, Client(address) as client:
        answers = {answer.request_id: answer for answer in client.batch(requests)}
    assert set(answers) == {f"r{number}" for number in range(8)}
    error = failure_error(answers.pop("r3").failure)
    assert isinstance(error, InvalidRequestError)
    assert list(error.fields) == ["findings"]
    assert all(answer.impression.text for answer in answers.values())


def test_what_the_requests_of_a_batch_raise_is_raised_after_the_answers(site: Site) -> None:
    def requests() -> Iterator[impression_pb2.BatchImpressionsRequest]:
        yield asked("r1")
        raise OSError("the worklist is gone")

    answers: list[impression_pb2.BatchImpressionsResponse] = []
    with site.serving() as address, Client(address) as client, pytest.raises(OSError, match="the worklist is gone"):
        answers.extend(client.batch(requests()))
    assert [answer.request_id for answer in answers] == ["r1"]


def test_a_signed_text_comes_back_with_its_distance(site: Site) -> None:
    report = {"findings": FINDINGS, "modality": "CT", "clinic": "alder"}
    with site.serving() as address, Client(address) as client:
        answer = client.generate(request_id="mine", **report)
        same = client.record_final(request_id="mine", final_impression=answer.text, **report)
        other = client.record_final(request_id="mine", final_impression="No fracture.", **report)
        with pytest.raises(NotFoundError):
            client.record_final(request_id="never", final_impression="No fracture.", **report)
    assert (same.edit_distance, same.rouge_l) == (0.0, 1.0)
    assert other.edit_distance > 0.5
    assert other.provenance == answer.provenance


def test_a_field_at_fault_is_named_and_not_quoted(site: Site) -> None:
    with site.serving() as address, Client(address) as client, pytest.raises(InvalidRequestError) as caught:
        client.generate(findings=FINDINGS, modality="a nodule in the left upper lobe")
    error = caught.value
    assert (error.code, list(error.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["modality"])
    assert error.reason == "MODALITY_UNKNOWN"
    assert error.retry_after is None
    assert "nodule" not in f"{error} {error.fields}"


def test_its_timeout_is_the_deadline(site: Site) -> None:
    with (
        site.serving(FakeEngine(FAKE_BASE, delay=0.5)) as address,
        Client(address, timeout=0.2) as client,
        pytest.raises(DeadlineExceededError),
    ):
        client.generate(findings=FINDINGS)


def test_a_token_opens_its_own_clinic_and_no_other(site: Site, tmp_path: Path) -> None:
    path, token = tokens(tmp_path, "alder")
    with site.serving(tokens=path) as address:
        with Client(address, token=token) as client:
            assert client.generate(findings=FINDINGS, clinic="alder").text
            with pytest.raises(PermissionDeniedError):
                client.generate(findings=FINDINGS, clinic="birch")
        for wrong in ("", f"{token}x"):
            with Client(address, token=wrong) as client, pytest.raises(TokenError) as caught:
                client.generate(findings=FINDINGS, clinic="alder")
            assert caught.value.reason == "UNAUTHENTICATED"


def test_a_token_that_runs_out_is_asked_for_anew(site: Site, tmp_path: Path) -> None:
    path, token = tokens(tmp_path, "alder")
    given = iter(["", token])
    with site.serving(tokens=path) as address, Client(address, token=lambda: next(given)) as client:
        with pytest.raises(TokenError):
            client.generate(findings=FINDINGS, clinic="alder")
        assert client.generate(findings=FINDINGS, clinic="alder").text


def test_tls_with_a_name_that_is_not_the_address(site: Site, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("radimpress.example.org").write(tmp_path, "server")
    with site.serving(tls_certificate=certificate, tls_key=key) as address:
        with Client(address, roots=authority.pem, server_name="radimpress.example.org") as client:
            assert client.generate(findings=FINDINGS).text
        with (
            Client(address, roots=authority.pem, server_name="other.example.org", timeout=1) as client,
            pytest.raises((UnavailableError, DeadlineExceededError)),
        ):
            client.generate(findings=FINDINGS)


def test_mutual_tls_lets_in_who_has_a_certificate(site: Site, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("localhost").write(tmp_path, "server")
    (tmp_path / "roots.pem").write_bytes(authority.pem)
    mine = authority.issue("ris-alder", client=True)
    given: dict[str, Any] = {"tls_certificate": certificate, "tls_key": key, "tls_client_roots": tmp_path / "roots.pem"}
    with site.serving(**given) as address:
        with Client(
            address, roots=authority.pem, certificate=mine.certificate, key=mine.key, server_name="localhost"
        ) as client:
            assert client.generate(findings=FINDINGS).text
        with (
            Client(address, roots=authority.pem, server_name="localhost", timeout=1) as client,
            pytest.raises((UnavailableError, DeadlineExceededError)),
        ):
            client.generate(findings=FINDINGS)


def test_threads_share_a_client(site: Site) -> None:
    with site.serving() as address, Client(address) as client, ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda number: client.generate(findings=FINDINGS, request_id=f"r{number}"), range(40))
        assert [answer.request_id for answer in made] == [f"r{number}" for number in range(40)]


def test_a_closed_client_asks_nobody(site: Site) -> None:
    with site.serving() as address:
        client = Client(address)
        client.close()
        with pytest.raises(ValueError, match="closed channel"):
            client.generate(findings=FINDINGS)


def test_it_loads_nothing_but_grpc_and_the_stubs() -> None:
    heavy = {
        "cryptography", "numpy", "opentelemetry", "peft", "prometheus_client", "pydantic", "rich", "sklearn",
        "sqlalchemy", "structlog", "torch", "transformers", "typer",
    }  # fmt: skip
    code = (
        "import sys, radimpress.server.client, radimpress.server.client_async; "
        f"print(sorted(set(sys.modules) & {heavy!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
