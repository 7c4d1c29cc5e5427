"""Move the bytes of one URL into a part file: over HTTP from where it stopped if that is safe, or from a local file.

What fails here is a ``TransferError``; its text never holds the URL or the text of a library's error, in which tokens
could stand.
"""

import json
import os
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import urllib3

from vlmake.errors import counted
from vlmake.store import canonical_json, text_digest, write_text

CHUNK = 1 << 20
_MAX_REDIRECTS = 10

Advance = Callable[[int, int | None], None]
"""Called with the bytes in the part so far and the expected total, if that is known."""


class TransferError(Exception):
    """Why one URL gave no good file; ``passing`` errors are worth another try."""

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class UselessError(TransferError):
    """What arrived, or what was to be continued, is of no use: the next try starts from zero."""


class Reply(NamedTuple):
    """What a source said about the file it sent: its full size if known, and what an error text should mention."""

    size: int | None
    resumed: bool = False
    encoding: str = ""
    media_type: str = ""
    framed: bool = True
    """Whether the end of the transfer can be told from a cut connection."""


class Limits(NamedTuple):
    """How patient a download is."""

    attempts: int
    pause: float
    connect_seconds: float
    stall_seconds: float


def shown_url(url: str) -> str:
    """Return a URL as it may be printed or stored: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?…" if parts.query else "")
    except ValueError:
        return "an invalid URL"


def copy_local(url: str, part: Path, note: Path, advance: Advance) -> Reply:
    """Copy the file of a file: URL to ``part``; TransferError if it cannot be read."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise TransferError("a file: URL names a path on this machine, as in file:///data/x.tsv")
    path = Path(url2pathname(parts.path))
    try:
        if not path.is_file():
            raise TransferError("no such file" if not path.exists() else "not a regular file")
        source: BinaryIO = path.open("rb")
    except OSError as error:
        raise TransferError(f"cannot be read: {error.strerror}") from error
    note.unlink(missing_ok=True)  # it belongs to the bytes that are overwritten now
    with source, part.open("wb") as sink:
        size = os.fstat(source.fileno()).st_size
        while chunk := source.read(CHUNK):
            sink.write(chunk)
            advance(sink.tell(), size)
    return Reply(size)


def fetch(url: str, part: Path, note: Path, limits: Limits, has_md5: bool, advance: Advance) -> Reply:
    """Bring ``part`` to its full length by one request, from where it stopped if that is safe.

    Args:
        url: http or https.
        part: The file that grows; a cut transfer leaves what arrived.
        note: Beside the part: the strong ETag of what is in it and a digest of the URL that it came from.
        limits: How patient the request is.
        has_md5: Whether the caller can tell a whole file by its md5.
        advance: Told about every piece that arrives.

    Raises:
        TransferError: No good answer, a stall, a cut. An error of the disk stays an OSError.
    """
    offset, etag = _resumable(url, part, note)
    headers = {"Accept-Encoding": "identity", "User-Agent": "vlmake"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": etag}
    with requests.Session() as session:
        session.max_redirects = _MAX_REDIRECTS
        timeout = (limits.connect_seconds, limits.stall_seconds)
        try:
            response = session.get(url, headers=headers, stream=True, timeout=timeout)
        except requests.RequestException as error:
            raise _reason(error, limits) from error
        with response:
            if offset and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and has_md5:
                return Reply(offset, resumed=True)  # nothing is left to send: the md5 tells whether it is the file
            resumed, total = _expectation(response, offset, etag)
            if not resumed:
                _remember(url, response.headers.get("ETag", ""), part, note)
            _receive(response, part, offset if resumed else 0, total, limits, advance)
            return Reply(
                total,
                resumed,
                encoding=_encoding(response),
                media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                framed=total is not None or "chunked" in response.headers.get("Transfer-Encoding", "").lower(),
            )


def _expectation(response: requests.Response, offset: int, etag: str) -> tuple[bool, int | None]:
    """Return whether the response continues the part, and the full size if it says so; TransferError if it fails."""
    status = response.status_code
    if status == HTTPStatus.OK:
        length = response.headers.get("Content-Length", "")
        return False, int(length) if length.isascii() and length.isdigit() else None
    if status == HTTPStatus.PARTIAL_CONTENT and offset:
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip())
        same = response.headers.get("ETag", etag) == etag and not _encoding(response)
        if span and same and int(span[1]) == offset and int(span[2]) + 1 == int(span[3]):
            return True, int(span[3])
    if status in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        raise UselessError(f"HTTP {status} with another range than the one that was asked for", passing=True)
    known = status in HTTPStatus._value2member_map_
    phrase = f" {HTTPStatus(status).phrase}" if known else ""
    raise TransferError(f"HTTP {status}{phrase}", passing=status in (408, 425, 429) or status >= 500)


def _receive(
    response: requests.Response, part: Path, offset: int, total: int | None, limits: Limits, advance: Advance
) -> None:
    """Write the body behind ``offset``; raw bytes, whatever their content encoding."""
    with part.open("r+b" if offset else "wb") as sink:
        sink.seek(offset)
        sink.truncate()
        here = offset
        while True:
            try:
                chunk = response.raw.read(CHUNK, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                problem = _reason(error, limits)
                size = f" of {total}" if total is not None else ""
                raise TransferError(f"{problem} after {here}{size} bytes", passing=True) from error
            if not chunk:
                break
            sink.write(chunk)
            here += len(chunk)
            advance(here, total)
    if total is not None and here != total:
        raise TransferError(f"{counted(here, 'byte')} arrived instead of {total:,}", passing=True)


def _encoding(response: requests.Response) -> str:
    """Return the content encoding, or an empty text for a plain file."""
    name = response.headers.get("Content-Encoding", "").strip().lower()
    return "" if name == "identity" else name


def _reason(error: BaseException, limits: Limits) -> TransferError:
    """Say what went wrong without the error's own text, which holds the URL and with it perhaps a token."""
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return TransferError(f"more than {_MAX_REDIRECTS} redirects")
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return TransferError("the TLS connection failed (certificate?)")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return TransferError(f"no connection within {limits.connect_seconds:g} s", passing=True)
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return TransferError(f"stalled: no data for {limits.stall_seconds:g} s", passing=True)
    if isinstance(error, urllib3.exceptions.IncompleteRead):
        return TransferError("the connection was cut", passing=True)
    if isinstance(error, requests.exceptions.ConnectionError | urllib3.exceptions.HTTPError | ConnectionError):
        system = _system_error(error)
        return TransferError(f"the connection failed or was cut{f' ({system})' if system else ''}", passing=True)
    return TransferError(f"the request failed ({type(error).__name__})")


def _system_error(error: BaseException | None) -> str:
    """Return the operating system's word for the cause of an error (refused, reset, unknown name)."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.strerror and not isinstance(error, requests.RequestException):
            return error.strerror
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = error.__cause__ or getattr(error, "reason", None) or inner or error.__context__
        error = error if isinstance(error, BaseException) else None
    return ""


def _remember(url: str, etag: str, part: Path, note: Path) -> None:
    """Start a part from zero; note whose it is if the server named it by a strong ETag."""
    note.unlink(missing_ok=True)
    part.write_bytes(b"")
    if re.fullmatch(r'"[\x21\x23-\x7e]+"', etag):  # strong: not W/"…"
        write_text(note, canonical_json({"etag": etag, "url": text_digest(url)}))  # a digest: URLs may hold tokens


def _resumable(url: str, part: Path, note: Path) -> tuple[int, str]:
    """Return where the part of this URL stopped and its ETag; (0, "") when it cannot be continued."""
    try:
        known = json.loads(note.read_bytes())
        if known["url"] == text_digest(url):
            return part.stat().st_size, str(known["etag"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    return 0, ""
