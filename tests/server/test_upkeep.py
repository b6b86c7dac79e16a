from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radimpress.reports.errors import UnavailableError
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.telemetry import Metrics
from radimpress.server.upkeep import Upkeep
from radimpress.trainer.bundle import AdapterBundle
from tests.server.conftest import CT_LIST, FAKE_BASE, MR_LIST, Site, certificate
from tests.server.peer import Peer


class Purged:
    """A journal that counts how often it is purged."""

    waiting = 3

    def __init__(self, error: Exception | None = None) -> None:
        self.times: list[datetime] = []
        self._error = error

    def purge(self, now: datetime) -> int:
        self.times.append(now)
        if self._error:
            raise self._error
        return 1


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"radimpress_{name}", labels)


def _run(upkeep: Upkeep, seconds: float) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await upkeep.run()

    asyncio.run(main())


def test_a_retired_adapter_leaves_memory(site: Site) -> None:
    engine = FakeEngine(FAKE_BASE)
    with site.serving(engine) as address, Peer(address) as peer:
        adapter = site.promote(site.first, CT_LIST)
        site.promote(site.second, MR_LIST)
        peer.generate(modality="CT", clinic="alder")
        peer.generate(modality="MR", clinic="alder")
        assert engine.resident() == {site.first.digest, site.second.digest}
        site.registry.rollback(1)
        site.registry.retire(adapter)
        until = time.monotonic() + 5
        while engine.resident() != {site.second.digest}:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_what_a_table_names_is_loaded_before_it_is_asked_for(site: Site, tmp_path: Path) -> None:
    class Ahead(FakeEngine):
        def prepare(self, adapter: AdapterBundle) -> None:
            prepared.append(adapter.digest)

    prepared: list[str] = []
    with site.serving(Ahead(FAKE_BASE)):
        site.promote(site.first, CT_LIST, MR_LIST)
        until = time.monotonic() + 5
        while prepared != [site.first.digest]:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_bundle_that_is_gone_ends_no_preparing(site: Site, tmp_path: Path) -> None:
    class Ahead(FakeEngine):
        def prepare(self, adapter: AdapterBundle) -> None:
            prepared.append(adapter.digest)

    prepared: list[str] = []
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    site.first.path.rename(tmp_path / "away")
    upkeep = Upkeep(site.registry, Ahead(FAKE_BASE), Purged(), Metrics())  # type: ignore[arg-type]
    upkeep.changed(site.registry.table())
    until = time.monotonic() + 5
    while prepared != [site.second.digest]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_figures_of_tables_trials_memory_and_journal_are_told(site: Site) -> None:
    engine, metrics = FakeEngine(FAKE_BASE), Metrics()
    upkeep = Upkeep(site.registry, engine, Purged(), metrics)  # type: ignore[arg-type]
    with site.serving(engine) as address, Peer(address) as peer:
        site.promote(site.first, CT_LIST)
        peer.generate(modality="CT", clinic="alder")
    upkeep.changed(site.registry.table())
    _run(upkeep, 0.1)
    assert (_value(metrics, "route_table"), _value(metrics, "trial_slices")) == (2, 0)
    assert _value(metrics, "resident_adapter", adapter="unified@1") == 1
    assert _value(metrics, "journal_waiting") == 3


def test_old_texts_are_purged_at_once_and_then_each_hour(site: Site) -> None:
    journal = Purged()
    _run(Upkeep(site.registry, FakeEngine(FAKE_BASE), journal, Metrics()), 0.2)  # type: ignore[arg-type]
    (moment,) = journal.times
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_a_registry_that_is_away_ends_no_upkeep(site: Site) -> None:
    journal = Purged(UnavailableError("away"))
    _run(Upkeep(site.registry, FakeEngine(FAKE_BASE), journal, Metrics()), 0.2)  # type: ignore[arg-type]
    assert len(journal.times) == 1


def test_an_engine_that_keeps_nothing_is_left_alone(site: Site, tmp_path: Path) -> None:
    class Bare:
        base_name, base_digest = "bare", FAKE_BASE

    metrics = Metrics()
    upkeep = Upkeep(site.registry, Bare(), Purged(), metrics)  # type: ignore[arg-type]
    adapter = site.registry.register(site.path(site.first))
    upkeep.changed(site.registry.promote(adapter, certificate(adapter, CT_LIST)))
    _run(upkeep, 0.1)
    assert _value(metrics, "route_table") == 2
