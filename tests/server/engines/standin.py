"""A server that speaks vLLM's protocol and computes with transformers and peft; honest, and spoilt on request."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

BASE = "base"


class StandIn:
    """Serves one base model and the adapters that it is told to load; `with` starts and ends it.

    Args:
        folder: the base model's.
        room: adapters at most (--max-loras).
        rank: of an adapter at most (--max-lora-rank).
        context: tokens of prompt and answer at most (--max-model-len).
        token: that requests must show.

    Attributes:
        delay: seconds before each token.
        status: what requests are answered with instead; 0 answers them.
        inert: whether adapters do nothing.
        liar: whether whatever is asked is answered by the base model, which it says.
        deaf: whether `status` counts for looks too.
        fixed: whether adapters cannot be loaded.
        muddles: whether base is answered for by the adapter that was loaded last, as vLLM 0.32 on the CPU may do.
        breaks: tokens after which a connection is broken; 0 breaks none.
        asked: counts of requests, by path.
        left: answers whose reader went away.
        running: requests that are being written.
        met: connections that were ever made.
    """

    def __init__(
        self, folder: Path, *, room: int = 8, rank: int = 8, context: int = 4096, token: str = "", port: int = 0
    ) -> None:
        self.delay = 0.0
        self.status = 0
        self.inert = self.liar = self.deaf = self.fixed = self.muddles = False
        self.breaks = 0
        self.asked: Counter[str] = Counter()
        self.left = self.running = self.met = 0
        self._held: dict[str, str] = {}
        self.loads = 0
        self.room, self.rank, self.context, self.token, self.name = room, rank, context, token, BASE
        self._plain: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._adapted: Any = None
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        with socket.socket() as free:
            free.bind(("127.0.0.1", port))
            self.port = int(free.getsockname()[1])
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def adapters(self) -> dict[str, str]:
        """Those that it was told to load, but for the still one."""
        return {name: path for name, path in list(self._held.items()) if "/.still/" not in path}

    def holds(self, name: str) -> bool:
        return name in self._held

    def listed(self) -> list[tuple[str, str]]:
        return list(self._held.items())

    def unload(self, name: str) -> bool:
        return self._held.pop(name, None) is not None

    def start(self) -> None:
        face = type("Face", (_Face,), {"home": self})
        self._server = _Server(("127.0.0.1", self.port), face)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """Ends at once, and with it every connection and all that was loaded."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for one in list(self._connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._held.clear()

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @contextmanager
    def connected(self, one: socket.socket) -> Iterator[None]:
        self._connections.add(one)
        self.met += 1
        try:
            yield
        finally:
            self._connections.discard(one)

    def load(self, name: str, path: str) -> tuple[int, str]:
        if name in self._held:
            return 400, f"The lora adapter '{name}' has already been loaded."
        if not (Path(path) / "adapter_config.json").is_file():
            return 404, f"No adapter found for {path}"
        rank = json.loads((Path(path) / "adapter_config.json").read_text("utf-8"))["r"]
        if rank > self.rank:
            return 500, f"Call to add_lora method failed: LoRA rank {rank} is greater than max_lora_rank {self.rank}."
        with self._lock:
            if self._adapted is None:
                self._adapted = PeftModel.from_pretrained(self._plain, path, name).eval()
            elif name not in self._adapted.peft_config:
                self._adapted.load_adapter(path, name)
        self._held[name] = path
        self.loads += "/.still/" not in path
        return 200, ""

    @torch.inference_mode()
    def logits(self, model: str, ids: list[int]) -> torch.Tensor:
        given = torch.tensor([ids])
        with self._lock:
            if self._adapted is None:
                return torch.as_tensor(self._plain(given).logits[0])
            if model == self.name and self.muddles and self._held:
                model = next(reversed(self._held))
            if model == self.name or self.liar or (self.inert and "/.still/" not in self._held[model]):
                with self._adapted.disable_adapter():
                    return torch.as_tensor(self._adapted(given).logits[0])
            self._adapted.set_adapter(model)
            return torch.as_tensor(self._adapted(given).logits[0])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break here on purpose."""


class _Face(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    home: StandIn

    def handle(self) -> None:
        with self.home.connected(self.connection):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        home = self.home
        if self._refused():
            return
        if self.path == "/health":
            self._say(200, None)
        elif self.path == "/metrics":
            self._text(f'vllm:lora_requests_info{{max_lora="{home.room}",running_lora_adapters=""}} 1.0\n'.encode())
        else:
            base = {"id": home.name, "root": "/models/base", "parent": None, "max_model_len": home.context}
            adapters = [
                {"id": name, "root": path, "parent": home.name, "max_model_len": None} for name, path in home.listed()
            ]
            self._say(200, {"object": "list", "data": [base, *adapters]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self._refused():
            return
        if self.path == "/reset_prefix_cache":
            self._say(200, None)
        elif "adapter" in self.path and self.home.fixed:
            self._say(404, {"detail": "Not Found"})
        elif self.path == "/v1/load_lora_adapter":
            status, message = self.home.load(asked["lora_name"], asked["lora_path"])
            self._said(status, message)
        elif self.path == "/v1/unload_lora_adapter":
            found = self.home.unload(asked["lora_name"])
            self._said(200 if found else 404, "The lora adapter cannot be found.")
        elif asked["model"] != self.home.name and not self.home.holds(asked["model"]):
            self._said(404, "The model does not exist.")
        elif asked.get("stream"):
            self._stream(asked)
        elif "logprobs" in asked:
            self._read(asked)
        else:
            self._whole(asked)

    def _refused(self) -> bool:
        home = self.home
        home.asked[self.path] += 1
        if home.token and self.headers["Authorization"] != f"Bearer {home.token}":
            self._say(401, {"error": "Unauthorized"})
            return True
        if home.status and (self.command == "POST" or home.deaf):
            self._say(home.status, {"error": {"message": "not today"}})
            return True
        return False

    def _read(self, asked: dict[str, Any]) -> None:
        model = self.home.name if self.home.liar else asked["model"]
        choices = []
        for index, ids in enumerate(asked["prompt"]):
            best = self.home.logits(model, ids)[-1].log_softmax(-1).topk(asked["logprobs"])
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            listed = {f"token_id:{token}": score for token, score in pairs}
            choices.append({"index": index, "logprobs": {"top_logprobs": [listed]}, "finish_reason": "length"})
        self._say(200, {"model": model, "choices": choices})

    @contextmanager
    def _working(self) -> Iterator[None]:
        self.home.running += 1
        try:
            yield
        except OSError:
            self.home.left += 1
            self.close_connection = True
        finally:
            self.home.running -= 1

    def _stream(self, asked: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with self._working():
            for event in chain(self._events(asked), ["[DONE]"]):
                self._chunk(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
            self._chunk(b"")

    def _whole(self, asked: dict[str, Any]) -> None:
        with self._working():
            events = []
            for event in self._events(asked):
                if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                    raise BrokenPipeError
                events.append(event)
            told = events.pop()
            parts = [event["choices"][0] for event in events]
            tokens = [token for part in parts for token in part["token_ids"]]
            text = "".join(part["text"] for part in parts)
            choice = {"text": text, "token_ids": tokens, "finish_reason": parts[-1]["finish_reason"]}
            self._say(200, {**told, "choices": [choice]})

    def _events(self, asked: dict[str, Any]) -> Iterator[Any]:
        home, ids, stop = self.home, list(asked["prompt"]), set(asked["stop_token_ids"])
        model = home.name if home.liar else asked["model"]
        read, said = len(ids), ""
        for count in range(1, asked["max_tokens"] + 1):
            time.sleep(home.delay)
            if home.breaks and count > home.breaks:
                raise OSError
            token = int(home.logits(model, ids)[-1].argmax())
            ids.append(token)
            finish = "stop" if token in stop else "length" if count == asked["max_tokens"] else None
            text = home.tokenizer.decode(ids[read:], skip_special_tokens=True)
            text = said if text.endswith("\ufffd") and not finish else text
            piece, said = text[len(said) :], text
            yield {"model": model, "choices": [{"text": piece, "token_ids": [token], "finish_reason": finish}]}
            if finish:
                break
        yield {"model": model, "choices": [], "usage": {"prompt_tokens": read, "completion_tokens": len(ids) - read}}

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _said(self, status: int, message: str) -> None:
        self._say(status, {"error": {"message": message, "code": status}} if status != 200 else None)

    def _say(self, status: int, body: Any) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _text(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
