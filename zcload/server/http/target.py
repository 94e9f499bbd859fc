"""What the receivers request from a server, and what its answers must contain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zcload.errors import StudyError
from zcload.linux.certificate import Trust
from zcload.server.http.framing import Framing, framing
from zcload.server.http.head import Head, MalformedError

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)  # RFC 9110, 14.4
_REDIRECTS = {301, 302, 303, 307, 308}


class AnswerError(StudyError):
    """A server's answer that cannot be measured, or not with the others. The message says what was received and what was expected."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes *start*..*end* (exclusive) of the file."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Target:
    """The file of *size* bytes that the server at *address* serves under *path*, as the probe found it, and how it is requested.

    *address* is a numeric address and a port; *host* the value of the Host header; *bytes_per_request* the length of a range, where
    the server honours *ranges*; one that does not sends the whole file for each request. *connections* counts those of the lane,
    all its receivers' together. *http2_window* is the size of the flow control windows in bytes, None over HTTP/1.1.
    """

    address: tuple[str, int]
    host: str
    path: str
    size: int
    bytes_per_request: int
    connections: int
    ranges: bool = True
    keep_alive: bool = True
    version: str = "HTTP/1.1"
    tls: Trust | None = None
    tls_version: str | None = None  # as agreed with the probe: "TLSv1.3"
    etag: str | None = None
    modified: str | None = None
    framing: Framing = "length"
    http2_window: int | None = None

    @property
    def whole(self) -> bool:
        """Whether each request of a window is for the whole file."""
        return not self.ranges or self.bytes_per_request >= self.size

    def part(self, number: int) -> Part:
        """Return what connection *number* fetches for verification; in windows it begins where that does.

        The file is split among the connections at page boundaries, as among senders; a server that ignores ranges, or a file
        with fewer pages than there are connections, is fetched whole, so that every connection is verified.
        """
        start, end = (self.size * (number + i) // self.connections & ~4095 for i in (0, 1))
        end = self.size if number == self.connections - 1 else end
        return Part(start, end) if self.ranges and start < end else Part(0, self.size)

    def request(self, start: int, end: int) -> bytes:
        """Return the request for the bytes *start*..*end* (exclusive) of the file."""
        lines = [f"GET {self.path} HTTP/1.1", *_fields(self.host)]
        if self.ranges and (start, end) != (0, self.size):
            lines.append(f"Range: bytes={start}-{end - 1}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def fields(self, start: int, end: int) -> list[tuple[str, str]]:
        """Return the same request as header fields of HTTP/2 (RFC 9113, 8.3.1)."""
        ranged = self.ranges and (start, end) != (0, self.size)
        return [*_http2_fields(self, self.path), *([("range", f"bytes={start}-{end - 1}")] if ranged else [])]

    def check(self, head: Head, start: int, end: int) -> Framing:
        """Check *head* against the request for *start*..*end*; return how its body ends. Raises AnswerError, MalformedError."""
        ranged = self.ranges and (start, end) != (0, self.size)
        expected = "206 Partial Content" if ranged else "200 OK"
        if head.status != (206 if ranged else 200):
            raise AnswerError(f"status {_status(head)}{_redirect(head)}, expected {expected}")
        encoding = head.fields.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise AnswerError(f"Content-Encoding {encoding!r}, expected the file as it is")
        if ranged:
            self._check_range(head, start, end)
        kind, length = framing(head)
        if length is not None and length != end - start:
            raise AnswerError(f"Content-Length {length}, expected {end - start}{self._changed(head)}")
        if self._changed(head):
            raise AnswerError(f"another file than before{self._changed(head)}")
        return kind

    def _check_range(self, head: Head, start: int, end: int) -> None:
        told = head.fields.get("content-range")
        if told is None:
            raise AnswerError("no Content-Range in a 206 answer")
        found = _RANGE.fullmatch(told)
        if found is None or (int(found[1]), int(found[2])) != (start, end - 1) or found[3] not in ("*", str(self.size)):
            raise AnswerError(f"Content-Range {told[:80]!r}, expected 'bytes {start}-{end - 1}/{self.size}'{self._changed(head)}")

    def _changed(self, head: Head) -> str:
        """Return the words for a file that has changed since the probe, by the server's headers; empty if it has not."""
        for name, before in (("etag", self.etag), ("last-modified", self.modified)):
            now = head.fields.get(name)
            # A server may call its entity tag weak while the file is young: compared as RFC 9110, 8.8.3.2 has it for caches.
            if before is not None and now is not None and now.removeprefix("W/") != before.removeprefix("W/"):
                return f": the file has changed, its {name} was {before[:60]!r} and is {now[:60]!r}"
        return ""


class SmallFile:
    """What a connection asks for where small files are served: another file after each `choose`, whole.

    It stands where a connection has its Target, and is made once, so that a request costs no objects. *paths* are the pieces of
    the path on the server between which the file's name stands; with *fresh* the server is told that the connection ends with
    the answer.
    """

    __slots__ = ("_plain", "_rest", "address", "http2_window", "path", "paths", "size", "tls")

    def __init__(self, target: Target, paths: Sequence[str], fresh: bool) -> None:
        self.address, self.tls, self.paths, self.http2_window = target.address, target.tls, paths, target.http2_window
        # Each file has an etag of its own: that the files are those of the verification, their lengths must tell.
        self._plain = replace(target, ranges=False, etag=None, modified=None)
        self._rest = "\r\n".join([" HTTP/1.1", *_fields(target.host), *(["Connection: close"] if fresh else []), "", ""])
        self.path, self.size = target.path, target.size

    def choose(self, name: str, size: int) -> None:
        """Choose the file called *name* of *size* bytes."""
        self.path, self.size = name.join(self.paths), size

    def request(self, start: int, end: int) -> bytes:
        """Return the request for the file."""
        return f"GET {self.path}{self._rest}".encode("latin-1")

    def fields(self, start: int, end: int) -> list[tuple[str, str]]:
        """Return the same request as header fields of HTTP/2."""
        return _http2_fields(self._plain, self.path)

    def check(self, head: Head, start: int, end: int) -> Framing:
        """Check *head* against that request; return how its body ends. Raises AnswerError, MalformedError."""
        return self._plain.check(head, start, end)


_SAME = {"User-Agent": "zcload", "Accept": "*/*", "Accept-Encoding": "identity"}  # in every request


def _fields(host: str) -> list[str]:
    """Return the header fields of every request."""
    return [f"Host: {host}", *(f"{name}: {value}" for name, value in _SAME.items())]


def _http2_fields(target: Target, path: str) -> list[tuple[str, str]]:
    scheme = "https" if target.tls else "http"
    pseudo = [(":method", "GET"), (":scheme", scheme), (":authority", target.host), (":path", path)]
    return [*pseudo, *((name.lower(), value) for name, value in _SAME.items())]


def _status(head: Head) -> str:
    return f"{head.status} {head.reason[:60]}".rstrip()


def _redirect(head: Head) -> str:
    """Return where a redirect leads; following it would measure another request than the configured one."""
    if head.status not in _REDIRECTS:
        return ""
    where = head.fields.get("location")
    return (f" to {where[:120]!r}" if where else "") + "; redirects are not followed: name the final path"


__all__ = ["AnswerError", "MalformedError", "SmallFile", "Target", "Trust"]
