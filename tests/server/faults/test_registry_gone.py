"""The registry goes and comes back: UNAVAILABLE meanwhile, readiness off, nothing acknowledged lost, no restart."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, Site
from tests.server.processes import Asker, code_of

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def _wait_for_health(asker: Asker, wanted: int, seconds: float = 20.0) -> None:
    stub = health_pb2_grpc.HealthStub(asker.channel)
    request = health_pb2.HealthCheckRequest(service="radimpress.readiness")
    until = time.monotonic() + seconds
    while stub.Check(request, timeout=5).status != wanted:
        assert time.monotonic() < until
        time.sleep(0.1)
    alive = stub.Check(health_pb2.HealthCheckRequest(service="radimpress.liveness"), timeout=5)
    assert alive.status == _SERVING


def test_a_database_server_that_stops_and_starts_again(
    postgres_site: Site, postgres_stopped: Callable[[], AbstractContextManager[None]]
) -> None:
    site = postgres_site
    adapter = site.promote(site.first, CT_LIST)
    with site.serving() as address, Asker(address) as asker:
        kept = {f"r-{number}": asker.generate(f"r-{number}") for number in range(5)}
        with postgres_stopped():
            # Who asks hears of it at once, not after a minute of silence.
            began = time.monotonic()
            assert asker.code("during") is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - began < 10
            _wait_for_health(asker, _NOT_SERVING)
        asker.until(grpc.StatusCode.OK, 30)
        _wait_for_health(asker, _SERVING)
        assert asker.generate("during").provenance.digest == adapter.digest
        site.registry.rollback()
        # Base would answer now: these are kept.
        for request_id, answer in kept.items():
            assert asker.generate(request_id) == answer
    site.registry.check_chain()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def _moved(file: Path) -> Iterator[None]:
    """The file is somewhere else, as after a mount that failed, and then back."""
    away = file.parent / "away"
    away.mkdir()
    names = [path.name for path in file.parent.glob(f"{file.name}*")]
    for name in names:
        (file.parent / name).rename(away / name)
    yield
    for made in file.parent.glob(f"{file.name}*"):
        made.unlink()
    for name in names:
        with suppress(FileNotFoundError):
            (away / name).rename(file.parent / name)


def test_a_database_file_that_somebody_else_has_locked(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    with site.serving() as address, Asker(address) as asker:
        kept = {f"r-{number}": asker.generate(f"r-{number}") for number in range(5)}
        with _locked(site.root / "registry.db"):
            assert asker.code("during", timeout=30) is grpc.StatusCode.UNAVAILABLE
            # What was answered before is read, and nothing waits for the lock.
            assert asker.generate("r-0") == kept["r-0"]
        asker.until(grpc.StatusCode.OK, 30)
        assert asker.generate("during").provenance.digest == site.first.digest
        site.registry.rollback()
        for request_id, answer in kept.items():
            assert asker.generate(request_id) == answer
    site.registry.check_chain()


def test_a_database_file_that_is_moved_away_and_back(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    acknowledged, refused = dict[str, impression_pb2.Impression](), set[grpc.StatusCode]()
    with site.serving() as address, Asker(address) as asker:
        with _moved(site.root / "registry.db"):
            for number in range(20):
                try:
                    acknowledged[f"r-{number}"] = asker.generate(f"r-{number}")
                except grpc.RpcError as error:
                    refused.add(code_of(error))
        # An answer that could not be kept is not given.
        assert refused <= {grpc.StatusCode.UNAVAILABLE}
        asker.until(grpc.StatusCode.OK, 30)
        site.registry.rollback()
        for request_id, answer in acknowledged.items():
            assert answer.provenance.digest == site.first.digest
            assert asker.generate(request_id) == answer
    site.registry.check_chain()
