"""Where the body of a response ends: by length, by chunks, or at the end of the connection (RFC 9112, 6 and 7).

Nothing here touches a socket.
"""

from __future__ import annotations

import re
from typing import Literal

from zcload.server.http.head import MOST_HEAD_BYTES, Head, MalformedError, shown

LONGEST_LINE = 4_096  # bytes of a line with a chunk's size and its extensions
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)  # 18 digits: more bytes than a file can have
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
Framing = Literal["length", "chunked", "close"]


def framing(head: Head) -> tuple[Framing, int | None]:
    """Return how the body of *head* ends, and its length in bytes where the head tells; raises MalformedError."""
    coding, length = head.fields.get("transfer-encoding"), head.fields.get("content-length")
    if coding is not None:
        if length is not None:
            raise MalformedError("both Content-Length and Transfer-Encoding, which contradict each other")
        if head.version == "HTTP/1.0":
            raise MalformedError("Transfer-Encoding in an HTTP/1.0 response")
        if coding.lower() != "chunked":
            raise MalformedError(f"Transfer-Encoding {coding!r}, where only chunked is known")
        return "chunked", None
    if length is not None:
        if not _LENGTH.fullmatch(length):
            raise MalformedError(f"Content-Length {length[:60]!r}, which is not one number")
        return "length", int(length)
    return "close", None


class Chunks:
    """Takes the framing out of a chunked body. *left*: bytes of payload that come next; 0 while a size or the end is awaited."""

    __slots__ = ("_buffer", "_likely", "_part", "_trailer_bytes", "done", "left")

    def __init__(self, likely: int = 0) -> None:
        """*likely* is how many bytes stand between two chunks, as far as an earlier body has shown."""
        self.left = 0
        self.done = False
        self._buffer = b""
        self._part: Literal["size", "end of data", "trailer"] = "size"
        self._trailer_bytes = 0
        self._likely = likely

    @property
    def likely(self) -> int:
        """Return how many bytes stood between the last two chunks."""
        return self._likely

    def need(self) -> int:
        """Return how many bytes of framing to ask for: no more than are likely to come before the next payload."""
        if self._part == "end of data":
            return max(5, self._likely) - len(self._buffer)  # CR LF, a digit, CR LF
        if self._part == "size" and not self._buffer:
            return max(3, self._likely - 2)
        return 1 if self._buffer.endswith(b"\r") else 2

    def took(self, count: int) -> None:
        """Count *count* bytes of payload that were taken off the socket; never more than `left`."""
        self.left -= count
        if not self.left:
            self._part = "end of data"

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take *data* in; return the payload in it, and what came after the body's end. Raises MalformedError."""
        buffer, payload = self._buffer + data, b""
        while buffer and not self.done:
            if self.left:
                portion, buffer = buffer[: self.left], buffer[self.left :]
                payload += portion
                self.took(len(portion))
                continue
            if self._part == "end of data":
                if not b"\r\n".startswith(buffer[:2]):
                    raise MalformedError(f"{shown(buffer)} where a chunk should have ended")
                if len(buffer) < 2:
                    break
                buffer, self._part = buffer[2:], "size"
                continue
            line, end, rest = buffer.partition(b"\r\n")
            if not end:
                if len(line) > LONGEST_LINE or b"\n" in line:
                    raise MalformedError(f"{shown(line)} instead of the size of a chunk")
                break
            buffer = rest
            if self._part == "size":
                self._begin(line)
            else:
                self._trailer_bytes += len(line) + 2
                if self._trailer_bytes > MOST_HEAD_BYTES:
                    raise MalformedError(f"trailers of more than {MOST_HEAD_BYTES} bytes")
                self.done = not line
        after, self._buffer = (buffer, b"") if self.done else (b"", buffer)
        return payload, after

    def _begin(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise MalformedError(f"{shown(line)} instead of the size of a chunk")
        self.left = int(size[1], 16)
        if self.left:
            self._likely = len(line) + 4
        else:
            self._part = "trailer"
