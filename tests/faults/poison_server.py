"""A real HTTP server on this machine that misbehaves on request: the first part of the path says how.

``server.url("cut", 100)`` is answered with 100 bytes of a longer file, and so on; see the ``_do_…`` methods. The server
counts what it was asked and what it sent.
"""

import contextlib
import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>quota exceeded</body></html>\n"


@dataclass
class Request:
    """One request: how it was to be answered, its Range and If-Range headers, and the body bytes that were sent."""

    how: str
    range: str | None
    if_range: str | None
    sent: int = 0


class PoisonServer:
    """Serves ``content`` well or badly while the context lasts."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.requests: list[Request] = []
        self.release = threading.Event()  # ends stalls and holds
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.poison = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, how: str, number: int = 0, query: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{how}/{number}/file.tsv{query}"

    def sent(self) -> list[int]:
        return [request.sent for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.poison: PoisonServer = self.server.poison  # type: ignore[attr-defined]
        how, number = self.path.split("/")[1:3]
        self.asked = Request(how, self.headers["Range"], self.headers["If-Range"])
        self.nth = sum(request.how == how for request in self.poison.requests)
        self.poison.requests.append(self.asked)
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"_do_{how}")(self.poison.content, int(number))

    def log_message(self, *arguments: object) -> None:
        pass

    def _head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, body: bytes) -> None:
        self.wfile.write(body)
        self.wfile.flush()
        self.asked.sent += len(body)

    def _serve(self, body: bytes, etag: str | None = '"v1"', stop: int | None = None, ranges: bool = True) -> None:
        """Answer as a good server does, but stop after ``stop`` bytes."""
        start = 0
        if ranges and self.asked.range and self.asked.if_range in (None, etag):
            start = int(self.asked.range.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._head(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
                return
            span = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self._head(206, Content_Length=len(body) - start, Content_Range=span, ETag=etag)
        else:
            self._head(200, Content_Length=len(body), ETag=etag)
        self._send(body[start:] if stop is None else body[start : start + stop])

    def _do_good(self, content: bytes, number: int) -> None:
        self._serve(content)

    def _do_held(self, content: bytes, number: int) -> None:
        """Send half, wait until the test lets go, send the rest."""
        self._head(200, Content_Length=len(content))
        self._send(content[: len(content) // 2])
        self.poison.release.wait(20)
        self._send(content[len(content) // 2 :])

    def _do_wrong(self, content: bytes, number: int) -> None:
        self._serve(b"wrong\x1b[31m\tbytes" + content)

    def _do_html(self, content: bytes, number: int) -> None:
        self._head(200, Content_Length=len(HTML), Content_Type="text/html; charset=utf-8")
        self._send(HTML)

    def _do_html_untyped(self, content: bytes, number: int) -> None:
        self._head(200, Content_Length=len(HTML), Content_Type="text/tab-separated-values")
        self._send(HTML)

    def _do_cut(self, content: bytes, number: int) -> None:
        """Every answer stops after ``number`` bytes of what it promised; no ETag."""
        self._serve(content, etag=None, stop=number)

    def _do_cut_steps(self, content: bytes, number: int) -> None:
        """Every answer stops after ``number`` bytes, but the next one may go on there."""
        self._serve(content, stop=number)

    def _do_cut_once(self, content: bytes, number: int) -> None:
        self._serve(content, stop=None if self.nth else number)

    def _do_cut_chunked(self, content: bytes, number: int) -> None:
        self._head(200, Transfer_Encoding="chunked")
        if number:
            self._send(b"%x\r\n%s\r\n" % (number, content[:number]))
        self._send(b"ff\r\nonly the start of a chunk")

    def _do_chunked(self, content: bytes, number: int) -> None:
        self._head(200, Transfer_Encoding="chunked")
        self._send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))

    def _do_endless(self, content: bytes, number: int) -> None:
        """No length at all: the end of the connection is the end of the file."""
        self.protocol_version = "HTTP/1.0"
        self._head(200)
        self._send(content)

    def _do_no_range(self, content: bytes, number: int) -> None:
        self._serve(content, stop=None if self.nth else number, ranges=False)

    def _do_weak(self, content: bytes, number: int) -> None:
        self._serve(content, etag='W/"v1"', stop=None if self.nth else number)

    def _do_new_etag(self, content: bytes, number: int) -> None:
        """The file is replaced by the true one after the first, cut answer."""
        if self.nth:
            self._serve(content, etag='"v2"')
        else:
            self._serve(b"old " + content, stop=number)

    def _do_lying_etag(self, content: bytes, number: int) -> None:
        """Ignores If-Range: continues another file than the one it began with, under another ETag."""
        if self.nth == 0:
            self._serve(b"old " + content, stop=number)
        else:
            self.asked.if_range = None
            self._serve(content, etag='"v2"')

    def _do_same_etag(self, content: bytes, number: int) -> None:
        """Continues another file than the one it began with, under the same ETag: only the md5 can tell."""
        self._serve(content if self.nth else b"old " + content, stop=None if self.nth else number)

    def _do_wrong_range(self, content: bytes, number: int) -> None:
        """Answers a range with one byte less than was asked for."""
        if self.nth == 1:
            start = int((self.asked.range or "bytes=0-")[6:-1]) + 1
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._head(206, Content_Length=len(content) - start, Content_Range=span, ETag='"v1"')
            self._send(content[start:])
        else:
            self._serve(content, stop=None if self.nth else number)

    def _do_loop(self, content: bytes, number: int) -> None:
        self._head(302, Location=f"/loop/{number + 1}/file.tsv?token=hidden", Content_Length=0)

    def _do_moved(self, content: bytes, number: int) -> None:
        self._head(302, Location="/good/0/file.tsv", Content_Length=0)

    def _do_status(self, content: bytes, number: int) -> None:
        self._head(number, Content_Length=5)
        self._send(b"sorry")

    def _do_fails(self, content: bytes, number: int) -> None:
        """500 for the first ``number`` requests, then good."""
        if self.nth < number:
            self._do_status(content, 500)
        else:
            self._serve(content)

    def _do_stall(self, content: bytes, number: int) -> None:
        self._head(200, Content_Length=len(content))
        self._send(content[:number])
        self.poison.release.wait(20)

    def _do_gzip(self, content: bytes, number: int) -> None:
        body = gzip.compress(content)
        self._head(200, Content_Length=len(body), Content_Encoding="gzip")
        self._send(body)

    def _do_hang_up(self, content: bytes, number: int) -> None:
        """Close without an answer."""
