"""Puts a bundle on a Hugging Face hub, private unless somebody says otherwise; HF_TOKEN and HF_ENDPOINT are read.

The hub is asked, before anything is uploaded, whether the repository is as private as it should be: one that was
there before may be public.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from radimpress.reports.errors import ForbiddenError, GateError, InputError, RadimpressError, UnavailableError
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS, AdapterBundle

CARD = "README.md"
_DIGITS = 16
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is on the hub now.

    Attributes:
        url: of the repository.
        commit: that the files came with.
        private: whether the hub says that it is.
    """

    url: str
    commit: str
    private: bool


def upload(
    bundle: AdapterBundle,
    repo: str,
    card: str,
    beside: Mapping[str, bytes],
    *,
    public: bool,
    endpoint: str | None = None,
) -> Pushed:
    """Uploads a bundle's three files with its card; what else is in the repository stays.

    Args:
        bundle: is verified first.
        repo: its id, as in "hospital/adapter"; made where there is none.
        card: README.md.
        beside: other files, by name.
        public: whether everybody may read it.
        endpoint: the hub's URL; HF_ENDPOINT, or else the well-known one, without it.

    Raises:
        BundleError: the bundle is broken.
        GateError: the repository is public where it should be private, or the other way round; nothing was uploaded.
        InputError: it is no repository's name.
        ForbiddenError: the hub refuses.
        UnavailableError: it cannot be reached.
    """
    from huggingface_hub import HfApi

    bundle.verify(bundle.base_digest)
    with tempfile.TemporaryDirectory() as folder, _translated(repo):
        side = Path(folder)
        for name in (WEIGHTS, CONFIG, MANIFEST):
            shutil.copyfile(bundle.path / name, side / name)
        for name, data in {**beside, CARD: card.encode()}.items():
            (side / name).write_bytes(data)
        hub = HfApi(endpoint, library_name="radimpress")
        url = hub.create_repo(repo, private=not public, exist_ok=True, repo_type="model")
        # Whoever is not known to be private is public.
        private = hub.model_info(url.repo_id, expand=["private"]).private is True
        if private == public:
            now, wanted = ("private", "public") if private else ("public", "private")
            raise GateError(f"{repo} is {now} on the hub, not {wanted}; nothing was uploaded")
        done = hub.upload_folder(
            repo_id=url.repo_id, folder_path=side, commit_message=f"{bundle.name} {bundle.digest[:_DIGITS]}"
        )
        return Pushed(str(url), done.oid, private)


@contextmanager
def _translated(repo: str) -> Iterator[None]:
    """The hub's errors as ours; their own texts may hold what was sent."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    try:
        yield
    except RadimpressError:
        raise
    except HFValidationError:
        raise InputError("repo", f"{repo[:96]!r} is no name of a repository, as hospital/adapter is") from None
    except LocalTokenNotFoundError:
        raise ForbiddenError("the hub wants a token: set HF_TOKEN") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        kind = ForbiddenError if status in _REFUSED else UnavailableError
        raise kind(f"the hub answers {status} for {repo}") from None
    except Exception as error:
        raise UnavailableError(f"the hub cannot be reached ({type(error).__name__})") from None
