"""Registered bundles, opened: cheap enough for the path of every request, and never an old one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from radimpress.reports.errors import BundleError, DigestError, InputError, NotFoundError
from radimpress.reports.files import sha256_file, stamp
from radimpress.server.registry.store import Store
from radimpress.server.routes import AdapterVersion
from radimpress.trainer.bases import BASES
from radimpress.trainer.bundle import MANIFEST, AdapterBundle, check_targets, open_bundle

# So long a bundle that could not be brought from elsewhere is not asked for again, in seconds.
_AGAIN = 5.0
_Key = tuple[str, str, str]


class Shelf:
    """Bundles whose manifests were read and found to be the registered ones.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: dict[_Key, tuple[Path, tuple[int, int, int, int] | None, AdapterBundle]] = {}
        # What is being brought from elsewhere, and what could not be, with the moment at which it is asked for again.
        self._coming: dict[_Key, tuple[Future[AdapterBundle], float]] = {}
        self._lock = threading.Lock()

    def kept(self, adapter: AdapterVersion) -> AdapterBundle | None:
        """The bundle where it was opened before and nobody touched its manifest since; waits for nothing."""
        found = self._opened.get(_key(adapter))
        if found is None:
            return None
        manifest, seen, bundle = found
        return bundle if seen is not None and stamp(manifest) == seen else None

    def bring(self, adapter: AdapterVersion) -> Future[AdapterBundle]:
        """The bundle, exactly as it was registered.

        Of a folder it is there at once. What lies elsewhere is brought by a thread, once for all who ask
        meanwhile; what could not be is not asked for again for some seconds.

        Returns:
            What cannot be cancelled, and may raise `DigestError`, as it is gone or not the registered one, or
            `UnavailableError`, as it cannot be brought here now.
        """
        key = _key(adapter)
        with self._lock:
            future, until = self._coming.get(key, (None, 0.0))
            if future is not None and (not future.done() or time.monotonic() < until):
                return future
            future = Future()
            future.set_running_or_notify_cancel()
            if self._store.distant and self.kept(adapter) is None:
                self._coming[key] = (future, 0.0)
                # A store that hangs must not hold up the end of the process.
                threading.Thread(
                    target=self._open, args=(adapter, future), name="radimpress-bring", daemon=True
                ).start()
                return future
        self._open(adapter, future)
        return future

    def _open(self, adapter: AdapterVersion, future: Future[AdapterBundle]) -> None:
        key = _key(adapter)
        try:
            bundle = self.kept(adapter) or self._fetched(adapter)
        except Exception as error:
            with self._lock:
                if key in self._coming:
                    self._coming[key] = (future, time.monotonic() + _AGAIN)
            future.set_exception(error)
        else:
            with self._lock:
                self._coming.pop(key, None)
            future.set_result(bundle)

    def _fetched(self, adapter: AdapterVersion) -> AdapterBundle:
        with suppress(NotFoundError, BundleError, InputError, OSError):
            folder = self._store.fetch(adapter.path, adapter.manifest_digest)
            # Taken before anything is read, so that a change meanwhile is seen the next time.
            seen = stamp(folder / MANIFEST)
            bundle = open_bundle(folder)
            if sha256_file(folder / MANIFEST) == adapter.manifest_digest and bundle.digest == adapter.digest:
                self._opened[_key(adapter)] = (folder / MANIFEST, seen, bundle)
                return bundle
        raise DigestError(f"{adapter}: its bundle is not the one that was registered")

    def verify(self, adapter: AdapterVersion) -> None:
        """Reads a registered version's files anew, those of a URL from there.

        Raises:
            BundleError: they are not those that were registered, or must not be served.
            UnavailableError: they cannot be reached now.
        """
        try:
            self._store.fetch(adapter.path, adapter.manifest_digest, anew=True)
        except NotFoundError:
            raise DigestError(f"{adapter}: its bundle is gone") from None
        with self._lock:
            self._coming.pop(_key(adapter), None)
        check_whole(self.bring(adapter).result(), adapter.base_digest)


def _key(adapter: AdapterVersion) -> _Key:
    return adapter.digest, adapter.path, adapter.manifest_digest


def check_whole(bundle: AdapterBundle, base_digest: str) -> None:
    """Checks all of a bundle that can be checked without the base model in memory.

    Raises:
        BundleError: it must not be served.
    """
    base = BASES.get(bundle.base_name)
    if base is not None:
        check_targets(bundle, base.targets)
    bundle.verify(base_digest)
