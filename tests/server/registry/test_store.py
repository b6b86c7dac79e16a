from __future__ import annotations

import errno
import shutil
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from radimpress.reports.errors import BundleError, ConfigError, DigestError, InputError, NotFoundError, UnavailableError
from radimpress.reports.files import sha256_file
from radimpress.server.registry import Registry, Store
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS, AdapterBundle, open_bundle
from tests.server.conftest import CT_LIST, certificate, change_byte, clusters

FILES = {CONFIG, WEIGHTS, MANIFEST}


@pytest.fixture
def bundle(fake_bundles: Path, tmp_path: Path) -> AdapterBundle:
    """A bundle that is in no store."""
    found = next((fake_bundles / "unified").iterdir())
    return open_bundle(Path(shutil.copytree(found, tmp_path / "made")))


def _store(kind: str, folder: Path) -> Store:
    if kind == "folder":
        return Store(folder / "bundles")
    return Store(f"memory://{uuid4().hex}" if kind == "memory" else f"file://{folder / 'remote'}", folder / "cache")


@pytest.fixture(params=["folder", "memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind."""
    return _store(request.param, tmp_path)


@pytest.fixture(params=["memory", "file"])
def distant(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind that is elsewhere."""
    return _store(request.param, tmp_path)


def test_a_bundle_that_is_added_is_found_under_its_name_and_digest(store: Store, bundle: AdapterBundle) -> None:
    path = store.add(bundle.path)
    digest = sha256_file(bundle.path / MANIFEST)
    assert path == f"unified/{digest[:16]}"
    assert store.name(path) == path
    folder = store.fetch(path)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        name: (bundle.path / name).read_bytes() for name in FILES
    }
    assert store.fetch(path, digest) == folder


def test_adding_the_same_again_changes_nothing(store: Store, bundle: AdapterBundle) -> None:
    assert store.add(bundle.path) == store.add(bundle.path)
    assert [path.name for path in store._root.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_bundle_that_is_not_whole_is_not_added(store: Store, bundle: AdapterBundle, file: str) -> None:
    (bundle.path / file).unlink()
    with pytest.raises(NotFoundError, match="no adapter bundle there"):
        store.add(bundle.path)
    assert list(store._root.iterdir()) == []


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_bundle_that_was_changed_is_not_added(store: Store, bundle: AdapterBundle, file: str) -> None:
    change_byte(bundle.path / file)
    with pytest.raises(DigestError, match=f"made: {file} is not the one in its manifest"):
        store.add(bundle.path)
    assert list(store._root.iterdir()) == []


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "unified/../..", "/etc", "a\0b", "x" * 5000])
def test_a_path_that_leaves_the_store_is_refused(store: Store, path: str) -> None:
    for ask in (store.name, store.fetch):
        with pytest.raises(InputError, match=r"path: .* is not inside the bundle folder"):
            ask(path)


def test_a_bundle_elsewhere_that_is_missing_is_not_found(distant: Store) -> None:
    with pytest.raises(NotFoundError, match="unified/0: no adapter bundle there"):
        distant.fetch("unified/0")


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_what_was_changed_elsewhere_is_not_brought_here(distant: Store, bundle: AdapterBundle, file: str) -> None:
    remote, path = distant._remote, distant.add(bundle.path)
    shutil.rmtree(distant._root)
    with remote.open(f"{distant._base}/{path}/{file}", "wb") as opened:
        opened.write(b"{}")
    with pytest.raises(BundleError):
        distant.fetch(path)
    assert list(distant._root.iterdir()) == []


def test_a_copy_is_used_until_it_is_to_be_read_anew(distant: Store, bundle: AdapterBundle) -> None:
    remote, path = distant._remote, distant.add(bundle.path)
    digest = sha256_file(bundle.path / MANIFEST)
    remote.rm(f"{distant._base}/{path}", recursive=True)
    assert open_bundle(distant.fetch(path, digest)).manifest == bundle.manifest
    with pytest.raises(NotFoundError):
        distant.fetch(path, digest, anew=True)


def test_a_file_that_is_far_too_long_is_not_copied(
    distant: Store, bundle: AdapterBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = distant.add(bundle.path)
    monkeypatch.setattr("radimpress.server.registry.store._BYTES_MAX", 10)
    with pytest.raises(DigestError, match="more than 10 bytes"):
        distant.fetch(path)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "no space on s3://key:secret@place"), "disk for bundles is full"),
        (RuntimeError("s3://key:secret@place"), "store of bundles cannot be used now"),
    ],
)
def test_a_store_that_fails_is_told_without_its_words(
    store: Store, bundle: AdapterBundle, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(UnavailableError, match=told) as raised:
        store.add(bundle.path)
    assert "secret" not in str(raised.value)
    assert list(store._root.iterdir()) == []


def test_a_url_needs_a_cache() -> None:
    with pytest.raises(ConfigError, match="bundle_cache"):
        Store("memory://bundles")


def test_a_url_of_a_kind_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened") as told:
        Store("nothing://key:secret@place", tmp_path)
    assert "secret" not in str(told.value)


def test_an_adapter_of_a_url_is_registered_promoted_and_served_from_a_copy(
    bundle: AdapterBundle, tmp_path: Path
) -> None:
    place, database = f"memory://{uuid4().hex}", f"sqlite:///{tmp_path / 'registry.db'}"
    with closing(Registry(database, place, cache=tmp_path / "one")) as registry:
        registry.adopt(clusters())
        adapter = registry.register(registry.store.add(bundle.path))
        registry.promote(adapter, certificate(adapter, CT_LIST))
        assert registry.bundle(adapter).manifest == bundle.manifest
    with closing(Registry(database, place, cache=tmp_path / "other")) as other:
        # Brought here with the table, before the first request that needs it.
        assert other.current().number == 2
        copy = tmp_path / "other" / adapter.manifest_digest
        assert (copy / WEIGHTS).is_file()
        assert other.bundle(adapter).path == copy
        other.verify(adapter)
        with other.store._remote.open(f"{other.store._base}/{adapter.path}/{WEIGHTS}", "wb") as opened:
            opened.write(b"")
        with pytest.raises(DigestError):
            other.verify(adapter)
        # What was verified when it was copied serves on.
        assert other.bundle(adapter).path == copy


@pytest.mark.parametrize("file", sorted(FILES))
@pytest.mark.parametrize("anew", [False, True])
def test_a_copy_that_was_damaged_is_brought_again(
    distant: Store, bundle: AdapterBundle, file: str, *, anew: bool
) -> None:
    path, digest = distant.add(bundle.path), sha256_file(bundle.path / MANIFEST)
    copy = distant.fetch(path, digest)
    change_byte(copy / file)
    assert distant.fetch(path, digest, anew=anew) == copy
    assert (copy / file).read_bytes() == (bundle.path / file).read_bytes()
    assert [one.name for one in distant._root.iterdir()] == [digest]


def test_a_bundle_in_the_folder_that_was_damaged_is_mended_by_adding_it_again(
    bundle: AdapterBundle, tmp_path: Path
) -> None:
    store = _store("folder", tmp_path)
    folder = store.fetch(store.add(bundle.path))
    (folder / CONFIG).unlink()
    assert store.fetch(store.add(bundle.path)) == folder
    assert (folder / CONFIG).read_bytes() == (bundle.path / CONFIG).read_bytes()
