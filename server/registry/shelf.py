"""Registered bundles, opened: cheap enough for the path of every request, and never an old one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from radimpress.reports.errors import BundleError, DigestError, InputError, NotFoundError
from radimpress.reports.files import sha256_file, stamp
from radimpress.server.registry.store import Store
from radimpress.server.routes import AdapterVersion
from radimpress.trainer.bases import BASES
from radimpress.trainer.bundle import MANIFEST, AdapterBundle, check_targets, open_bundle


class Shelf:
    """Bundles whose manifests were read and found to be the registered ones.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: dict[tuple[str, str, str], tuple[Path, tuple[int, int, int, int] | None, AdapterBundle]] = {}

    def bundle(self, adapter: AdapterVersion) -> AdapterBundle:
        """The bundle, exactly as it was registered; its manifest is read again when the file was touched.

        Raises:
            DigestError: it is gone, or its manifest is not the registered one.
            UnavailableError: it lies elsewhere, and cannot be brought here now.
        """
        key = (adapter.digest, adapter.path, adapter.manifest_digest)
        kept = self._opened.get(key)
        if kept is not None:
            manifest, seen, bundle = kept
            if seen is not None and stamp(manifest) == seen:
                return bundle
        with suppress(NotFoundError, BundleError, InputError, OSError):
            folder = self._store.fetch(adapter.path, adapter.manifest_digest)
            # Taken before anything is read, so that a change meanwhile is seen the next time.
            seen = stamp(folder / MANIFEST)
            bundle = open_bundle(folder)
            if sha256_file(folder / MANIFEST) == adapter.manifest_digest and bundle.digest == adapter.digest:
                self._opened[key] = (folder / MANIFEST, seen, bundle)
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
        check_whole(self.bundle(adapter), adapter.base_digest)


def check_whole(bundle: AdapterBundle, base_digest: str) -> None:
    """Checks all of a bundle that can be checked without the base model in memory.

    Raises:
        BundleError: it must not be served.
    """
    base = BASES.get(bundle.base_name)
    if base is not None:
        check_targets(bundle, base.targets)
    bundle.verify(base_digest)
