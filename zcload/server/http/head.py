"""Parse the head of an HTTP/1 response incrementally and strictly (RFC 9112, RFC 9110).

Strict, because what is measured must be certain: where the RFC leaves a recipient the choice between repairing and refusing,
this parser refuses. A head is at most 64 KiB. Nothing here touches a socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MOST_HEAD_BYTES = 65_536
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # token: RFC 9110, 5.6.2
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # no field value has these: RFC 9110, 5.5; a bare CR is one of them
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) ([1-5]\d\d)(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")  # RFC 9112, 4; many leave the last space out
_END = b"\r\n\r\n"
_BEGINNING = b"HTTP/1."


class MalformedError(ValueError):
    """Bytes that are no HTTP/1 response; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Head:
    """A response's head. *fields* has lower-case names; what came several times is joined with ", ", as RFC 9110, 5.3 says."""

    version: str
    status: int
    reason: str
    fields: dict[str, str]

    @property
    def interim(self) -> bool:
        """Whether another head follows this one: 100 Continue, 103 Early Hints."""
        return self.status < 200

    @property
    def stays_open(self) -> bool:
        """Whether the server lets the connection serve another request (RFC 9112, 9.3)."""
        options = {option.strip().lower() for option in self.fields.get("connection", "").split(",")}
        return "close" not in options and (self.version != "HTTP/1.0" or "keep-alive" in options)


@lru_cache(maxsize=256)
def parse_head(raw: bytes) -> Head:
    """Parse a whole head, the empty line that ends it included; raises MalformedError. Remembers the last ones: heads repeat."""
    if not raw.endswith(_END):
        raise MalformedError("the head has no end")
    lines = raw[: -len(_END)].split(b"\r\n")
    status = _STATUS_LINE.fullmatch(lines[0])
    if status is None or status[1] != b"1":
        raise MalformedError(f"{shown(lines[0])} is no HTTP/1 status line")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if line[:1] in (b" ", b"\t"):
            raise MalformedError(f"a header folded over two lines, which RFC 9112 forbids: {shown(line)}")
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise MalformedError(f"{shown(line)} is no header field")
        if _CONTROL.search(value):
            raise MalformedError(f"a control character in the header field {shown(line)}")
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    version = f"HTTP/{status[1].decode()}.{status[2].decode()}"
    return Head(version, int(status[3]), (status[4] or b"").decode("latin-1").strip(), fields)


class HeadReader:
    """Collects one head after the other from whatever pieces arrive.

    `need` says how many bytes may be asked for next: as many as the last head had, then never more than are certainly missing.
    So a body is left in the socket for the sink, unless a head is shorter than the one before.
    """

    __slots__ = ("_buffer", "_likely")

    def __init__(self) -> None:
        self._buffer = b""
        self._likely = 0

    @property
    def begun(self) -> bool:
        """Whether a part of the next head is here."""
        return bool(self._buffer)

    def need(self) -> int:
        """Return how many bytes to ask for: at least 1, and no more than the head is likely to have left."""
        missing = self._likely - len(self._buffer)
        if missing > 0:
            return missing
        if not self._buffer:
            return 16  # HTTP/1.1 200, CR LF, CR LF: no head is shorter
        tail = self._buffer[-3:]
        return 1 if tail == b"\r\n\r" else 2 if tail.endswith(b"\r\n") else 3 if tail.endswith(b"\r") else 4

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """Take *data* in; return the head once it is whole, with what came after it, else None. Raises MalformedError."""
        looked = max(0, len(self._buffer) - 3)
        buffer = self._buffer + data
        if not buffer.startswith(_BEGINNING[: len(buffer)]):
            raise MalformedError(f"{shown(buffer)} instead of an HTTP/1 response")
        end = buffer.find(_END, looked)
        whole = end >= 0
        seen = buffer[: end + len(_END)] if whole else buffer
        if len(seen) > MOST_HEAD_BYTES:
            raise MalformedError(f"headers of more than {MOST_HEAD_BYTES} bytes")
        new = len(self._buffer) - self._buffer.endswith(b"\r")
        if seen.count(b"\n", new) != seen.count(b"\r\n", new):
            raise MalformedError(f"a line that ends in LF without CR, in {shown(seen)}")
        if not whole:
            self._buffer = buffer
            return None
        self._buffer = b""
        # The shortest head seen, unless they have changed for good: then this one, so that few bodies are cut into.
        self._likely = len(seen) if not self._likely or len(seen) > self._likely + 32 else min(self._likely, len(seen))
        return parse_head(seen), buffer[len(seen) :]


def shown(raw: bytes) -> str:
    """Return the beginning of *raw* as it may stand in a message."""
    text = repr(raw[:40])[1:]
    return text + ("..." if len(raw) > 40 else "")
