"""Where things are kept that can be made again: base models, style vectors, tools of the bench."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """RADIMPRESS_CACHE, else the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("RADIMPRESS_CACHE")
    return Path(chosen) if chosen else user_cache_path("radimpress")
