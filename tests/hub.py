"""A stand-in for a Hugging Face hub on loopback: what huggingface_hub asks for when a folder is uploaded."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Hub:
    """What is on it.

    Attributes:
        private: repository -> whether it is private.
        files: repository -> its files.
        refuses: the status that every request gets; 0 answers.
        asked: paths, in order.
    """

    url: str = ""
    private: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refuses: int = 0
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """The status and the JSON of a request."""
        self.asked.append(f"{method} {path}")
        if self.refuses:
            return self.refuses, {"error": "no"}
        if path == "/api/repos/create":
            given = json.loads(body)
            repo = f"{given.get('organization') or 'someone'}/{given['name']}"
            if repo in self.private:
                return 409, {"error": "You already created this model repo", "url": f"{self.url}/{repo}"}
            self.private[repo] = given.get("private") is True or given.get("visibility") == "private"
            return 200, {"url": f"{self.url}/{repo}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        repo, _, rest = path.removeprefix("/api/models/").partition("/preupload/")
        if rest:
            names = [one["path"] for one in json.loads(body)["files"]]
            return 200, {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
        repo, _, rest = path.removeprefix("/api/models/").partition("/commit/")
        if rest:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    data = base64.b64decode(line["value"]["content"])
                    self.files.setdefault(repo, {})[line["value"]["path"]] = data
            return 200, {"commitUrl": f"{self.url}/{repo}/commit/c0ffee", "commitOid": "c0ffee"}
        repo = path.removeprefix("/api/models/").split("/revision/")[0]
        if repo in self.private:
            return 200, {"_id": "1", "id": repo, "private": self.private[repo], "sha": "c0ffee"}
        return 404, {"error": "not found"}


@contextmanager
def open_hub() -> Iterator[Hub]:
    """The hub, until the block ends."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, found = hub.answer(self.command, self.path.split("?")[0], self.rfile.read(length))
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _reply  # noqa: N815 (http.server's names)

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
