"""The request for a small file on a connection: one file after another, each whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zcload.server.http.framing import Framing
from zcload.server.http.head import Head
from zcload.server.http.target import Target


class SmallFile:
    """Stands where a connection has its Target, and is another file after each `choose`: made once, so that a request costs no objects.

    *paths* are the pieces of the path on the server between which the file's name stands; with *fresh* the server is told that
    the connection ends with the answer.
    """

    __slots__ = ("_plain", "_rest", "address", "path", "paths", "size", "tls")

    def __init__(self, target: Target, paths: Sequence[str], fresh: bool) -> None:
        self.address, self.tls, self.paths = target.address, target.tls, paths
        # Each file has an etag of its own: that the files are those of the verification, their lengths must tell.
        self._plain = replace(target, ranges=False, etag=None, modified=None)
        lines = [" HTTP/1.1", f"Host: {target.host}", "User-Agent: zcload", "Accept: */*", "Accept-Encoding: identity"]
        self._rest = "\r\n".join([*lines, *(["Connection: close"] if fresh else []), "", ""])
        self.path, self.size = target.path, target.size

    def choose(self, name: str, size: int) -> None:
        """Be the file called *name* of *size* bytes."""
        self.path, self.size = name.join(self.paths), size

    def request(self, start: int, end: int) -> bytes:
        """Return the request for the file."""
        return f"GET {self.path}{self._rest}".encode("latin-1")

    def check(self, head: Head, start: int, end: int) -> Framing:
        """Hold *head* against that request; return how its body ends. Raises AnswerError, MalformedError."""
        return self._plain.check(head, start, end)
