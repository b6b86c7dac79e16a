"""Opens the engine, or the engines, that a server's settings name."""

from __future__ import annotations

from pathlib import Path

from radimpress.reports.errors import ConfigError
from radimpress.reports.progress import Track, silent
from radimpress.server.engines import Engine
from radimpress.server.engines.configuration import Entry, read_engines
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.settings import ServerSettings
from radimpress.trainer.bases import find_base


def open_engine(settings: ServerSettings, track: Track = silent) -> Engine:
    """The engine that the settings name; several engines are one.

    Raises:
        ConfigError: it cannot be opened as they say.
    """
    if settings.engines is None:
        entry = Entry(
            kind=settings.engine,
            urls=settings.engine_urls,
            token=settings.engine_token,
            adapters=settings.engine_adapters,
        )
        return _open(entry, settings, track)
    from radimpress.server.engines.several import Several

    opened: list[tuple[Entry, Engine]] = []
    try:
        for entry in read_engines(settings.engines):
            opened.append((entry, _open(entry, settings, track)))
        return Several(opened)
    except BaseException:
        for _, engine in opened:
            engine.close()
        raise


def _open(entry: Entry, settings: ServerSettings, track: Track) -> Engine:
    if entry.kind == "fake":
        return FakeEngine()
    if entry.kind == "vllm":
        return _open_vllm(entry, settings, track)
    if entry.kind == "tgi":
        return _open_tgi(entry, settings, track)
    return _open_inprocess(settings, track)


def _open_inprocess(settings: ServerSettings, track: Track) -> Engine:
    from radimpress.server.engines.inprocess import InProcessEngine
    from radimpress.trainer.fetch import base_folder
    from radimpress.trainer.load import load_base

    base = find_base(settings.base)
    return InProcessEngine(
        load_base(base, base_folder(base, track)),
        batch=settings.batch,
        # Admission lets no more wait than the settings say; batches, shadows and an evaluation stand beside them.
        waiting=settings.waiting + 2 * settings.batch,
        resident=settings.resident,
        host=settings.host,
        chunk=settings.chunk,
        context=settings.context,
    )


def _open_vllm(entry: Entry, settings: ServerSettings, track: Track) -> Engine:
    from radimpress.server.engines.vllm import Shared, VllmEngine
    from radimpress.trainer.fetch import base_folder

    base = find_base(settings.base)
    if base.quantisation == "int8":
        raise ConfigError(f"base: {base.name} is the in-process engine's alone; vLLM has no such arithmetic")
    return VllmEngine(
        base,
        base_folder(base, track),
        entry.urls,
        Shared(bundle_folder(settings), entry.adapters),
        token=entry.secret(),
        most=settings.waiting + 3 * settings.batch,
        resident=settings.resident,
        context=settings.context,
    )


def _open_tgi(entry: Entry, settings: ServerSettings, track: Track) -> Engine:
    from radimpress.server.engines.tgi import TgiEngine
    from radimpress.trainer.fetch import base_folder

    base = find_base(settings.base)
    return TgiEngine(base, base_folder(base, track), entry.urls, entry.secret())


def bundle_folder(settings: ServerSettings) -> Path:
    """Where bundles lie on this machine."""
    distant = "://" in settings.bundles and settings.bundle_cache is not None
    return settings.bundle_cache if distant and settings.bundle_cache else Path(settings.bundles)
