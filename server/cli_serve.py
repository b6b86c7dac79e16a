"""`radimpress serve` and `radimpress generate`: a server, and one question to one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from radimpress.eval.signing import load_public
from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.server.client import Client
from radimpress.server.console import ERR, OUT, quiet_models, tell, track
from radimpress.server.engines.opening import open_engine
from radimpress.server.options import AsJson, BundleRoot, RegistryUrl
from radimpress.server.registry import Registry
from radimpress.server.security.process import harden
from radimpress.server.serve import serve as serve_until_told
from radimpress.server.settings import load_settings


def serve(
    listen: Annotated[str | None, typer.Option(help="host:port.")] = None,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    base: Annotated[str | None, typer.Option(help="Base model.")] = None,
    engine: Annotated[str | None, typer.Option(help="inprocess, vllm, tgi or fake.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key.")] = None,
    tls_client_roots: Annotated[
        Path | None, typer.Option(help="PEM; clients must show a certificate of these.")
    ] = None,
    tokens: Annotated[Path | None, typer.Option(help="TOML file that `tokens make` adds to.")] = None,
    audit: Annotated[Path | None, typer.Option(help="Folder of the trail of requests.")] = None,
    metrics_listen: Annotated[str | None, typer.Option(help="host:port of /metrics, /livez and /readyz.")] = None,
) -> None:
    """Serves impressions over gRPC until told to stop; every other setting is RADIMPRESS_<NAME>."""
    settings = load_settings(
        listen=listen,
        registry=registry,
        bundles=bundles,
        base=base,
        engine=engine,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_client_roots=tls_client_roots,
        tokens=tokens,
        audit=audit,
        metrics_listen=metrics_listen,
    )
    # Before the registry's file is made: nobody else may read it.
    harden()
    known = Registry(
        settings.registry, settings.bundles, load_public(settings.trusted_keys), cache=settings.bundle_cache
    )
    known.table()
    if settings.engine != "fake":
        quiet_models()
    serve_until_told(settings, open_engine(settings, track), known)


def generate(
    findings: Annotated[str, typer.Argument(help="File that holds the findings; - is standard input.")],
    server: Annotated[str, typer.Option(help="host:port.")] = "127.0.0.1:50051",
    modality: str = "",
    clinic: str = "",
    exam: str = "",
    indication: str = "",
    comparison: str = "",
    request_id: Annotated[str, typer.Option(help="Asked again, it is answered as before; made up without.")] = "",
    token_file: Annotated[
        Path | None, typer.Option(help="File that holds the token; RADIMPRESS_TOKEN holds the token itself.")
    ] = None,
    token: Annotated[str | None, typer.Option(envvar="RADIMPRESS_TOKEN", hidden=True)] = None,
    roots: Annotated[Path | None, typer.Option(help="PEM root certificates, for TLS.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM chain that the client shows.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM key of the certificate.")] = None,
    as_json: AsJson = False,
) -> None:
    """Asks a running server for one impression; says on standard error who wrote it."""
    text = sys.stdin.read() if findings == "-" else _read("findings", Path(findings))
    try:
        client = Client(
            server,
            token=(_read("token", token_file).strip() if token_file else token) or "",
            roots=_bytes(roots),
            certificate=_bytes(certificate),
            key=_bytes(key),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    with client:
        answer = client.generate(
            findings=text,
            modality=modality,
            clinic=clinic,
            exam=exam,
            indication=indication,
            comparison=comparison,
            request_id=request_id,
        )
    if as_json:
        tell(answer)
        return
    OUT.print(answer.text, markup=False)
    who = answer.provenance
    ERR.print(f"{who.adapter}@{who.version} {who.digest or who.base_model}, route table {who.route_table}")
    if who.waiver:
        ERR.print(f"not passed by the gate: {who.waiver}", markup=False)
    for finding in answer.check_findings:
        ERR.print(f"[yellow]{finding.check}: {finding.message}[/yellow]")


def _read(what: str, path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(what, f"{path} is not UTF-8") from None


def _bytes(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None
