"""The site, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radimpress.server.registry import Answer, Registry
from radimpress.server.routes import Arm
from radimpress.trainer.bundle import WEIGHTS, open_bundle
from tests.postgres import Postgres
from tests.server.conftest import CT_LIST, Site, clusters

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database's URL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.fresh()


@pytest.fixture
def site(tmp_path: Path, fake_bundles: Path, database_url: str) -> Iterator[Site]:
    """A registry with adopted clusters, and bundles of its own to spoil."""
    shutil.copytree(fake_bundles, tmp_path / "bundles")
    first, second = (
        open_bundle(next((tmp_path / "bundles" / name).glob(f"*/{WEIGHTS}")).parent)
        for name in ("unified", "cluster-list")
    )
    registry = Registry(database_url, tmp_path / "bundles")
    registry.adopt(clusters())
    yield Site(tmp_path, registry, first, second, database_url)
    registry.close()


def answer(request_id: str = "r-1", **changes: object) -> Answer:
    """An answer of the base model."""
    given = {
        "clinic": "alder",
        "request_id": request_id,
        "subject": "pacs",
        "asked": "a" * 64,
        "message": b"\x0a\x03r-1 No fracture.",
        "digest": "",
        "adapter": "base",
        "version": 0,
        "cell": CT_LIST,
        "arm": Arm.INCUMBENT,
        "table": 1,
        "checks": (),
        "created": NOON,
        "seconds": 0.5,
    }
    return Answer(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def another(site: Site) -> Iterator[Callable[..., Registry]]:
    """Opens the site's registry once more, as another process would."""
    opened: list[Registry] = []

    def another(trusted: frozenset[str] = frozenset()) -> Registry:
        opened.append(Registry(site.url, site.bundles, trusted))
        return opened[-1]

    yield another
    for registry in opened:
        registry.close()
