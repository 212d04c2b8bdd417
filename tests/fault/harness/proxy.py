"""A small HTTP proxy before an S3 server that goes wrong on purpose, as stores and networks do."""

import hashlib
import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

STATUS = {"500": 500, "503": 503, "429": 429}
KINDS = (*STATUS, "reset", "stall", "cut", "lie")
STALL_S = 1.0
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


class FaultProxy:
    """Bites a share of the requests, but no two in a row for one object: what is tried again gets through.

    500, 503, 429: such an answer, and nothing done. reset: the connection ends before the server is asked. stall: the
    answer comes late. cut: a body ends early. lie: a PUT of a data file is answered with success and not done, once.
    """

    def __init__(self, upstream: str, kinds: Iterable[str] = KINDS, share: float = 0.2, seed: int = 0) -> None:
        self.injected: Counter[str] = Counter()
        self._kinds, self._share, self._random = tuple(kinds), share, random.Random(seed)
        self._bitten, self._lied, self._lock = set[tuple[str, str]](), set[str](), threading.Lock()
        host = urlsplit(upstream)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                proxy._serve(self, str(host.hostname), int(host.port or 80))

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler, host: str, port: int) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        fault = self._fault(request.command, request.path)
        if fault == "reset":
            _reset(request)
        elif fault in STATUS:
            _answer(request, STATUS[fault], [], b"<Error><Code>SlowDown</Code></Error>")
        elif fault == "lie":
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            _answer(request, 200, [("ETag", etag)], b"")
        else:
            if fault == "stall":
                time.sleep(STALL_S)
            status, headers, data = _ask(host, port, request, body)
            _answer(request, status, headers, data, cut=fault == "cut")

    def _fault(self, method: str, path: str) -> str:
        """What goes wrong with this request; empty if nothing does."""
        key = (method, path.partition("?")[0])
        with self._lock:
            if key in self._bitten:
                self._bitten.discard(key)
                return ""
            possible = [kind for kind in self._kinds if self._can(kind, *key)]
            if "lie" in possible:
                possible = ["lie"]  # there are few data files: every one is lied about
            elif not possible or self._random.random() >= self._share:
                return ""
            fault = self._random.choice(possible)
            self._bitten.add(key)
            self.injected[fault] += 1
            if fault == "lie":
                self._lied.add(key[1])
            return fault

    def _can(self, kind: str, method: str, path: str) -> bool:
        if kind == "cut":
            return method == "GET"
        if kind == "lie":
            return method == "PUT" and "/data/" in path and path not in self._lied
        return True


def _ask(
    host: str, port: int, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    upstream = http.client.HTTPConnection(host, port, timeout=120)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
    upstream.request(request.command, request.path, body, headers)
    answer = upstream.getresponse()
    data = answer.read()
    upstream.close()
    kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP]
    if request.command == "HEAD" and (length := answer.getheader("Content-Length")):
        kept.append(("Content-Length", length))
    return answer.status, kept, data


def _answer(
    request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], data: bytes, cut: bool = False
) -> None:
    request.send_response_only(status)
    for name, value in headers:
        request.send_header(name, value)
    if not any(name == "Content-Length" for name, _ in headers):
        request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(data[: len(data) // 2] if cut else data)
    if cut:
        request.close_connection = True


def _reset(request: BaseHTTPRequestHandler) -> None:
    """Ends the connection with RST, as a host that is gone does."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    request.connection.close()
