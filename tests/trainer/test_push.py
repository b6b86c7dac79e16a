from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from radimpress.reports.errors import DigestError, ForbiddenError, GateError, InputError, UnavailableError
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.push import Pushed, upload
from tests.hub import Hub, open_hub
from tests.server.conftest import make_bundle

REPO = "hospital/unified"
NAMES = {"README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_a_test")
    with open_hub() as found:
        yield found


@pytest.fixture(scope="module")
def bundle(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AdapterBundle:
    return make_bundle(tiny_folder, tmp_path_factory.mktemp("bundles"))


def _push(hub: Hub, bundle: AdapterBundle, *, public: bool = False, repo: str = REPO) -> Pushed:
    return upload(bundle, repo, "# A card\n", {"memorisation.json": b"{}"}, public=public, endpoint=hub.url)


def test_a_bundle_goes_to_a_private_repository_with_its_card(hub: Hub, bundle: AdapterBundle) -> None:
    done = _push(hub, bundle)
    assert done == Pushed(f"{hub.url}/{REPO}", "c0ffee", True)
    assert hub.private == {REPO: True}
    files = hub.files[REPO]
    assert set(files) == {*NAMES, "memorisation.json"}
    assert files["README.md"] == b"# A card\n"
    for name in NAMES - {"README.md"}:
        assert files[name] == (bundle.path / name).read_bytes()


def test_public_is_public_when_asked_for(hub: Hub, bundle: AdapterBundle) -> None:
    assert not _push(hub, bundle, public=True).private
    assert hub.private == {REPO: False}


@pytest.mark.parametrize("public", [False, True])
def test_a_repository_that_is_not_as_private_as_it_should_be_gets_nothing(
    hub: Hub, bundle: AdapterBundle, public: bool
) -> None:
    hub.private[REPO] = public
    with pytest.raises(GateError, match="nothing was uploaded"):
        _push(hub, bundle, public=public)
    assert hub.files == {}


def test_a_repository_that_is_there_gets_the_next_version(hub: Hub, bundle: AdapterBundle) -> None:
    _push(hub, bundle)
    hub.files.clear()
    assert _push(hub, bundle).private
    assert set(hub.files[REPO]) >= NAMES


def test_a_broken_bundle_does_not_leave(hub: Hub, tiny_folder: Path, tmp_path: Path) -> None:
    broken = make_bundle(tiny_folder, tmp_path)
    (broken.path / "adapter_model.safetensors").write_bytes(b"broken")
    with pytest.raises(DigestError):
        _push(hub, broken)
    assert hub.asked == []


@pytest.mark.parametrize(("status", "error"), [(401, ForbiddenError), (403, ForbiddenError), (500, UnavailableError)])
def test_a_hub_that_refuses_is_told_without_the_token(
    hub: Hub, bundle: AdapterBundle, status: int, error: type[Exception]
) -> None:
    hub.refuses = status
    with pytest.raises(error, match=f"the hub answers {status} for {REPO}") as caught:
        _push(hub, bundle)
    assert "hf_token" not in str(caught.value)


def test_a_hub_that_is_away_is_told(bundle: AdapterBundle) -> None:
    with open_hub() as gone:
        pass
    with pytest.raises(UnavailableError, match="the hub cannot be reached"):
        _push(gone, bundle)


def test_a_name_that_is_none_is_refused(hub: Hub, bundle: AdapterBundle) -> None:
    with pytest.raises(InputError, match="no name of a repository"):
        _push(hub, bundle, repo="a/b/c d")
    assert hub.files == {}
