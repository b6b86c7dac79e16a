from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest

from radimpress.server.client import Client
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.trainer.bundle import AdapterBundle
from tests.server.conftest import CT_LIST, FAKE_BASE, FINDINGS, Site

FIELDS = {"exam": "CT knee", "indication": "Pain after a fall", "comparison": "None of 2020"}


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


def test_a_stream_ends_with_the_whole(site: Site) -> None:
    with site.serving() as address, Client(address) as client:
        events = list(client.stream(findings=FINDINGS, request_id="mine"))
    assert events[0].HasField("started")
    assert (events[-1].completed.request_id, events[-1].completed.text) == ("mine", "Fake impression by base.")


def test_its_timeout_is_the_deadline(site: Site) -> None:
    with (
        site.serving(FakeEngine(FAKE_BASE, delay=0.5)) as address,
        Client(address, timeout=0.2) as client,
        pytest.raises(grpc.RpcError) as caught,
    ):
        client.generate(findings=FINDINGS)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_closed_client_asks_nobody(site: Site) -> None:
    with site.serving() as address:
        client = Client(address)
        client.close()
        with pytest.raises(ValueError, match="closed channel"):
            client.generate(findings=FINDINGS)


def test_it_loads_nothing_but_grpc_and_the_stubs() -> None:
    heavy = {"numpy", "torch", "transformers", "peft", "sqlalchemy", "pydantic", "sklearn", "typer", "rich"}
    code = f"import sys, radimpress.server.client; print(sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
