"""docs/client.md, run from its first line to its last against a server with TLS and tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from radimpress.server import client_errors
from tests.server.conftest import CT_LIST, Site
from tests.server.pki import Authority
from tests.server.test_client import tokens

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_every_snippet_does_what_the_page_says(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    site.promote(site.first, CT_LIST)
    authority = Authority()
    certificate, key = authority.issue("radimpress.example.org").write(tmp_path, "server")
    authority.issue("ris-alder", client=True).write(tmp_path, "client")
    path, token = tokens(tmp_path, "alder")
    (tmp_path / "roots.pem").write_bytes(authority.pem)
    (tmp_path / "token").write_text(f"{token}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    given: dict[str, Any] = {"tls_certificate": certificate, "tls_key": key, "tokens": path}
    with site.serving(**given) as one, site.serving(**given) as other:
        here = {"radimpress.example.org:50051": one, "10.0.0.1:50051": one, "10.0.0.2:50051": other}
        for snippet in snippets:
            for there, address in here.items():
                snippet = snippet.replace(there, address)  # noqa: PLW2901
            exec(compile(snippet, str(PAGE), "exec"), found)
        for name in ("client", "mutual", "several"):
            assert found[name].generate(findings=found["findings"], modality="CT", clinic="alder").text
            found[name].close()
    wrote = f"Fake impression by {site.first.digest}."
    assert found["answer"].text == found["whole"].text == wrote
    assert len(found["done"]) == len(found["requests"])
    assert found["told"].provenance == found["answer"].provenance
    assert found["texts"] == [wrote, "Fake impression by base."]


def test_every_error_is_in_the_table() -> None:
    table = PAGE.read_text("utf-8")
    kinds = [kind for kind in vars(client_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in kinds:
        if issubclass(kind, client_errors.ClientError):
            assert f"| `{kind.__name__}` |" in table
