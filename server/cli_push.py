"""`radimpress adapters card` and `push`: a bundle's model card, and a bundle on a Hugging Face hub."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from radimpress.eval.certificate import decode_certificate
from radimpress.eval.memorisation import load_memorisation
from radimpress.eval.score import load_scores
from radimpress.reports.errors import NotFoundError
from radimpress.reports.files import write_atomic
from radimpress.server import steps
from radimpress.server.cards import check_public, make_card
from radimpress.server.console import OUT, tell
from radimpress.server.options import AsJson, BundleFolder
from radimpress.trainer.bundle import AdapterBundle

Bundle = Annotated[str, typer.Argument(help="Name that the last train gave, or bundle folder.")]
Scores = Annotated[Path | None, typer.Option("--scores", help="scores.json of an evaluation, for the card.")]
Judged = Annotated[Path | None, typer.Option("--certificate", help="The gate's certificate, for the card.")]
Memory = Annotated[Path | None, typer.Option("--memorisation", help="What eval memorisation wrote.")]
_BUNDLES = Path("bundles")
MEMORY = "memorisation.json"


def card(
    bundle: Bundle,
    bundles: BundleFolder = _BUNDLES,
    scores: Scores = None,
    certificate: Judged = None,
    memorisation: Memory = None,
    out: Annotated[Path | None, typer.Option(help="File to write, as README.md; printed without it.")] = None,
) -> None:
    """A bundle's model card: what it learnt from, how, how good it is where that is at hand, limits and licence."""
    (found,) = steps.choose_adapters(bundles, [bundle])
    text = _card(found, scores, certificate, memorisation)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomic(out, text.encode())


def push(
    bundle: Bundle,
    repo: Annotated[str, typer.Argument(help="Repository on the hub, as hospital/adapter; made where there is none.")],
    bundles: BundleFolder = _BUNDLES,
    public: Annotated[bool, typer.Option("--public", help="For everybody; needs --memorisation, and a pass.")] = False,
    memorisation: Memory = None,
    scores: Scores = None,
    certificate: Judged = None,
    endpoint: Annotated[str | None, typer.Option(help="The hub's URL; HF_ENDPOINT without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Uploads a bundle and its card to a Hugging Face hub, private unless said otherwise; HF_TOKEN holds the token."""
    from radimpress.trainer.push import upload

    (found,) = steps.choose_adapters(bundles, [bundle])
    memory = load_memorisation(memorisation) if memorisation else None
    if public:
        check_public(found, memory)
    text = _card(found, scores, certificate, memorisation)
    beside = {MEMORY: memory.encode()} if memory else {}
    done = upload(found, repo, text, beside, public=public, endpoint=endpoint)
    if as_json:
        tell({"adapter": found.name, "digest": found.digest, **asdict(done)})
    else:
        OUT.print(
            f"{found.name} {found.digest} is at {done.url}, {'private' if done.private else 'public'}", markup=False
        )


def _card(bundle: AdapterBundle, scores: Path | None, certificate: Path | None, memorisation: Path | None) -> str:
    try:
        judged = decode_certificate(certificate.read_bytes()) if certificate else None
    except FileNotFoundError:
        raise NotFoundError(f"{certificate}: no such file") from None
    return make_card(
        bundle,
        load_scores(scores) if scores else None,
        judged,
        load_memorisation(memorisation) if memorisation else None,
    )
