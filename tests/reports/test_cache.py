from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.reports.cache import cache_folder


def test_the_cache_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("RADIMPRESS_CACHE")
    assert cache_folder().name == "radimpress"
