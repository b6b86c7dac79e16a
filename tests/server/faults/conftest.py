"""Sites over either database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from radimpress.server.registry import Registry
from radimpress.trainer.bundle import WEIGHTS, open_bundle
from tests.postgres import Postgres
from tests.server.conftest import Site, clusters


@contextmanager
def _site(root: Path, fake_bundles: Path, url: str) -> Iterator[Site]:
    shutil.copytree(fake_bundles, root / "bundles")
    first, second = (
        open_bundle(next((root / "bundles" / name).glob(f"*/{WEIGHTS}")).parent) for name in ("unified", "cluster-list")
    )
    registry = Registry(url, root / "bundles")
    registry.adopt(clusters())
    yield Site(root, registry, first, second, url)
    registry.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_site(request: pytest.FixtureRequest, tmp_path: Path, fake_bundles: Path) -> Iterator[Site]:
    """A site on SQLite, then one on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'registry.db'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.fresh()
    with _site(tmp_path, fake_bundles, url) as site:
        yield site


@pytest.fixture
def postgres_site(tmp_path: Path, fake_bundles: Path, postgres_url: str) -> Iterator[Site]:
    """A site on PostgreSQL."""
    with _site(tmp_path, fake_bundles, postgres_url) as site:
        yield site
