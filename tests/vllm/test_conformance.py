"""The suite that every engine passes, on a real vLLM."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from radimpress.server.bench.vllm_server import VllmServer
from tests.server.engines.conformance import Case, Conformance
from tests.vllm.conftest import Site


def _running(server: VllmServer) -> int:
    told = server.ask("GET", "/metrics")[1]
    counts = re.findall(r"^vllm:num_requests_(?:running|waiting)\{.*\} (\S+)$", told, re.MULTILINE)
    return round(sum(float(count) for count in counts))


class TestVllm(Conformance):
    @pytest.fixture
    def case(self, site: Site, server: VllmServer) -> Iterator[Case]:
        engine = site.engine(server)
        first, second, *_ = site.adapters
        yield Case(engine, site.bundles, first, second, site.again, site.foreign, lambda: _running(server))
        engine.close()
