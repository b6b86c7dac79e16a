"""Where bundles are kept: a folder, or any place that fsspec reaches by URL.

What is elsewhere is copied here before it is used, into a cache by its manifest's digest: whole, checked
against that manifest, or not at all.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from radimpress.reports.errors import (
    ConfigError,
    DigestError,
    InputError,
    NotFoundError,
    RadimpressError,
    UnavailableError,
)
from radimpress.reports.files import is_path, sha256_file, within
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS, AdapterBundle, open_bundle, side_folder

# The manifest comes last: what has none is no bundle yet.
_FILES = (CONFIG, WEIGHTS, MANIFEST)
_BYTES_MAX = 1 << 30
_DIGITS = 16


class Store:
    """The bundles that a registry's adapters are registered from.

    Args:
        place: a folder, or a URL such as "s3://hospital/bundles".
        cache: the folder on this machine for what a URL holds.

    Raises:
        ConfigError: a URL without a cache, or one that fsspec cannot open.
    """

    def __init__(self, place: str | Path, cache: Path | None = None) -> None:
        self._remote: Any = None
        self._base = ""
        if "://" not in str(place):
            self._root = Path(place)
            return
        if cache is None:
            raise ConfigError("bundles: are at a URL, so that bundle_cache must name a folder to copy them to")
        self._root = cache
        from fsspec.core import url_to_fs

        try:
            self._remote, base = url_to_fs(str(place))
            self._base = str(base)
        except Exception as error:
            # A URL may hold a password, and a driver's message the URL.
            raise ConfigError(f"bundles: the URL cannot be opened ({type(error).__name__})") from None

    @property
    def distant(self) -> bool:
        """Whether it is reached by a URL."""
        return self._remote is not None

    def name(self, path: str) -> str:
        """A bundle's path as it is registered.

        Raises:
            InputError: it is empty or leaves the store.
        """
        if self._remote is None:
            return self._inside(path).relative_to(self._root.resolve()).as_posix()
        if not is_path(path) or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise _outside(path)
        name = PurePosixPath(path).as_posix()
        if name == ".":
            raise _outside(path)
        return name

    def fetch(self, path: str, manifest_digest: str = "", *, anew: bool = False) -> Path:
        """A bundle's folder on this machine; what is elsewhere is brought here first.

        Args:
            path: relative to the store.
            manifest_digest: of the bundle that is wanted, where it is known; then a copy will do.
            anew: reads what is elsewhere although there is a copy.

        Raises:
            InputError: the path is empty or leaves the store.
            NotFoundError: no bundle is there.
            BundleError: what is there is none, or not what its manifest says.
            UnavailableError: the store cannot be reached, or the disk is full.
        """
        if self._remote is None:
            return self._inside(path)
        kept = self._root / manifest_digest
        if manifest_digest and not anew and _is_whole(kept, manifest_digest):
            return kept
        name = self.name(path)
        with _told(name), self._side() as side:
            for file in _FILES:
                place = f"{self._base}/{name}/{file}"
                if (self._remote.size(place) or 0) > _BYTES_MAX:
                    raise DigestError(f"{name}: {file} has more than {_BYTES_MAX} bytes")
                self._remote.get_file(place, str(side / file))
            _, digest = _checked(side, name)
            return _settle(side, self._root / digest)

    def add(self, folder: Path) -> str:
        """Copies a bundle into the store, under its name and its manifest's digest; gives the path there.

        Raises:
            NotFoundError: there is no bundle.
            BundleError: it is none, or not what its manifest says.
            UnavailableError: the store cannot be reached, or the disk is full.
        """
        with _told(folder.name), self._side() as side:
            for file in _FILES:
                shutil.copyfile(folder / file, side / file)
            bundle, digest = _checked(side, folder.name)
            name = f"{bundle.name}/{digest[:_DIGITS]}"
            if self._remote is None:
                _settle(side, self._root / name)
                return name
            self._remote.makedirs(f"{self._base}/{name}", exist_ok=True)
            for file in _FILES:
                self._remote.put_file(str(side / file), f"{self._base}/{name}/{file}")
            _settle(side, self._root / digest)
            return name

    def _inside(self, path: str) -> Path:
        folder = within(self._root, path)
        if folder is None:
            raise _outside(path)
        return folder

    @contextmanager
    def _side(self) -> Iterator[Path]:
        side = side_folder(self._root)
        try:
            yield side
        finally:
            shutil.rmtree(side, ignore_errors=True)


def _outside(path: str) -> InputError:
    return InputError("path", f"{path[:64]!r} is not inside the bundle folder")


def _checked(side: Path, told: str) -> tuple[AdapterBundle, str]:
    """The bundle in a side folder, and its manifest's digest."""
    bundle = open_bundle(side)
    for name, expected in bundle.manifest["files"].items():
        if sha256_file(side / name) != expected:
            raise DigestError(f"{told}: {name} is not the one in its manifest")
    return bundle, sha256_file(side / MANIFEST)


def _is_whole(folder: Path, manifest_digest: str) -> bool:
    with suppress(RadimpressError, OSError):
        return _checked(folder, folder.name)[1] == manifest_digest
    return False


def _settle(side: Path, target: Path) -> Path:
    """Moves a side folder to its place, unless the same is there already; what is there and damaged gives way."""
    for file in _FILES:
        # No report text is in a bundle: whoever serves may read it.
        (side / file).chmod(0o644)
        with (side / file).open("rb") as opened:
            os.fsync(opened.fileno())
    side.chmod(0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256_file(side / MANIFEST)
    while True:
        try:
            side.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if _is_whole(target, digest):
                return target
            # Whoever reads its files goes on with those that were opened.
            with suppress(FileNotFoundError):
                damaged = target.rename(side_folder(target.parent))
                shutil.rmtree(damaged, ignore_errors=True)
        else:
            return target


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except RadimpressError:
        raise
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFoundError(f"{name}: no adapter bundle there") from None
    except Exception as error:
        # Every kind of store has errors of its own, which may quote its URL.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise UnavailableError("the disk for bundles is full") from None
        raise UnavailableError(f"the store of bundles cannot be used now ({type(error).__name__})") from None
