"""One HTTP connection: send a request, parse the answer's head and framing, and give the payload to the sink."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

from zcload.errors import StudyError, reason_of
from zcload.linux.sockets import numeric_family
from zcload.server.http.framing import Chunks, Framing
from zcload.server.http.head import HeadReader, MalformedError, shown
from zcload.server.http.target import AnswerError, SmallFile, Target

SILENCE_S = 10.0  # how long a server may say nothing in the middle of an answer

CALLS = ("request_send", "head_recv", "connect")
REQUEST_SEND, HEAD_RECV, CONNECT = range(len(CALLS))


class BrokenConnectionError(StudyError):
    """A connection ended in the middle of an answer, most often because the server ended."""

    consequence = True


class Connection:
    """Connection *number* of a lane: asks for ranges of the target's file, one at a time, and reads all of the answers but payload.

    `left` is how many bytes of payload the sink may take next; while it is 0 and an answer is under way, `listen` reads on. With *waits*
    the socket's own calls wait; else they raise BlockingIOError, and the caller polls. *counts* counts system calls, *opened* is called
    with every socket made anew, *closing* before one is closed.
    """

    def __init__(
        self,
        number: int,
        sock: socket.socket | None,
        target: Target,
        *,
        waits: bool,
        counts: list[int],
        opened: Callable[[Connection], None],
        closing: Callable[[Connection], None],
    ) -> None:
        self.number, self.sock, self.waits, self.counts = number, sock, waits, counts
        self.target: Target | SmallFile = target  # small files come one after another
        self._opened, self._closing = opened, closing
        self._reader = HeadReader()
        self._chunks: Chunks | None = None
        self._chunk_framing = 0  # bytes between two chunks of the last body
        self._kind: Framing | None = None  # None until the head is here
        self._open_after = True  # whether the connection outlives the answer
        self._waited = True  # whether it has been idle: a server may close such a one at any time (RFC 9112, 9.3.1)
        self._flags = 0 if waits or target.tls else socket.MSG_DONTWAIT
        self.serial = 0  # of the last request
        self.span = (0, 0)  # of the last request
        self.taken = 0  # payload of the current answer so far
        self.left = 0
        self.bounded = False  # whether the sink must not take more than `left`
        self.idle = True

    def ask(self, start: int, end: int) -> None:
        """Send the request for the bytes *start*..*end* of the file, over a new connection if there is none. Raises StudyError."""
        self.serial += 1
        self.span, self.taken, self.left, self.idle, self._kind = (start, end), 0, 0, False, None
        if self.sock is None:
            self._connect()
        self._send()

    def _send(self) -> None:
        assert self.sock is not None
        try:
            self.counts[REQUEST_SEND] += 1
            self.sock.sendall(self.target.request(*self.span))
        except OSError as error:
            self._lost(error)

    def listen(self) -> bytes:
        """Read the parts of the answer that are not for the sink: head, chunk sizes, the end. Return payload that came with them.

        Raises StudyError for an answer that is wrong or ends early, BlockingIOError where there is nothing to read yet.
        """
        assert self.sock is not None
        chunks = self._chunks
        need = self._reader.need() if self._kind is None else chunks.need() if chunks is not None else 1
        self.counts[HEAD_RECV] += 1
        try:
            data = self.sock.recv(need, self._flags) if self._flags else self.sock.recv(need)
        except BlockingIOError:
            if self.waits:
                raise self.wrong(f"no byte for {SILENCE_S:.0f} s, {self._expected()}") from None
            raise
        except ConnectionError as error:
            self._lost(error)
            return b""
        if not data:
            self.ended()
            return b""
        if self.idle:
            raise self.wrong(f"got {shown(data)} after its answer, where nothing was asked for")
        try:
            return self._take(data)
        except (MalformedError, AnswerError) as error:
            raise self.wrong(f"got {error}" if isinstance(error, MalformedError) else f"answered with {error}") from None

    def _take(self, data: bytes) -> bytes:
        """Give *data* to the part of the answer it belongs to; return the payload in it."""
        while self._kind is None:  # a server may say any number of interim answers first
            found = self._reader.feed(data)
            if found is None:
                return b""
            head, data = found
            if head.interim:
                if head.status == 101:
                    raise AnswerError("status 101: it wants to change the protocol")
                if not data:
                    return b""
                continue
            self._waited = True
            self._kind = self.target.check(head, *self.span)
            self._open_after = head.stays_open and self._kind != "close"
            self._chunks = Chunks(self._chunk_framing) if self._kind == "chunked" else None
            self.bounded = self._chunks is not None
            if not self.bounded:
                self.left = self.span[1] - self.span[0]
            if not data:
                return b""
        if self._chunks is not None:
            return self._take_chunks(data)
        payload, after = data[: self.left], data[self.left :]
        self.took(len(payload))
        if after:
            raise AnswerError(f"more than the {self.span[1] - self.span[0]} bytes that were to come")
        return payload

    def _take_chunks(self, data: bytes) -> bytes:
        assert self._chunks is not None
        payload, after = self._chunks.feed(data)
        self.taken += len(payload)
        self.left = self._chunks.left
        whole = self.span[1] - self.span[0]
        if self.taken + self.left > whole or after:
            raise AnswerError(f"a chunked body of more than {whole} bytes, expected just these")
        if self._chunks.done:
            if self.taken < whole:
                raise AnswerError(f"a chunked body of {self.taken} bytes, expected {whole}")
            self._chunk_framing = self._chunks.likely
            self._finish()
        return payload

    def took(self, count: int) -> None:
        """Count *count* bytes of payload that the sink took; raises StudyError if there were not so many to come."""
        self.taken += count
        if self._chunks is not None:
            self._chunks.took(count)
            self.left = self._chunks.left
            return
        self.left -= count
        if self.left < 0:
            raise self.wrong(f"got {-self.left} bytes more than the {self.span[1] - self.span[0]} that were to come")
        if not self.left and self._kind == "length":
            self._finish()

    def ended(self) -> None:
        """Note the end of the connection: fine after an answer, or before one where it had been idle; else raises StudyError."""
        if self.idle:
            self.close()
        elif self._kind == "close" and not self.left:
            self._finish()
        elif self._kind is None and not self._reader.begun and self._waited:
            self._lost(None)
        else:
            raise self.broken("the connection ended")

    def _lost(self, error: OSError | None) -> None:
        """Ask again over a new connection if the server had closed this one between two answers; else raise StudyError."""
        if self._kind is not None or self._reader.begun or not self._waited:
            raise self.broken("the connection broke" + (f" ({reason_of(error)})" if error else "")) from None
        self.close()
        self._connect()
        self._send()

    def _finish(self) -> None:
        self.idle = True
        self._chunks = None
        if not self._open_after:
            self.close()

    def _connect(self) -> None:
        """Make a new connection; raises StudyError."""
        host, port = self.target.address
        self.counts[CONNECT] += 1
        sock = socket.socket(numeric_family(host), socket.SOCK_STREAM)
        try:
            sock.settimeout(SILENCE_S)
            sock.connect((host, port))
            sock.settimeout(None)
        except OSError as error:
            sock.close()
            raise BrokenConnectionError(f"connection {self.number}: cannot connect to {host} port {port} again: {_why(error)}") from None
        except BaseException:
            sock.close()
            raise
        self.sock, self._waited = sock, False
        self._opened(self)

    def close(self) -> None:
        """Close the socket; harmless when called twice."""
        if self.sock is not None:
            self._closing(self)
            self.sock.close()
            self.sock = None

    def broken(self, what: str) -> BrokenConnectionError:
        """Return the error for a connection that ended in the middle of an answer."""
        return BrokenConnectionError(f"{self._place()}: {what}, {self._expected()}")

    def wrong(self, what: str) -> AnswerError:
        """Return the error for *what* is wrong with the current answer, with its place."""
        return AnswerError(f"{self._place()}: {what}")

    def _place(self) -> str:
        start, end = self.span
        span = "" if (start, end) == (0, self.target.size) else f" bytes {start}-{end - 1}"
        return f"connection {self.number}, request {self.serial} (GET {self.target.path}{span})"

    def _expected(self) -> str:
        if self._kind is None:
            return "in the middle of the headers" if self._reader.begun else "before an answer"
        return f"after {self.taken} of {self.span[1] - self.span[0]} bytes"


def give_up_after_silence(sock: socket.socket) -> None:
    """Have the socket's own waits end with EAGAIN after SILENCE_S: SO_RCVTIMEO, socket(7); it costs no system call while they do not."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", *divmod(round(SILENCE_S * 1e6), 1_000_000)))


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        remedy = "fewer transfers a second, or sysctl net.ipv4.tcp_tw_reuse=1 and a wider net.ipv4.ip_local_port_range"
        return f"no port is left, since closed connections keep theirs for a minute (TIME_WAIT): {remedy}"
    return f"no answer for {SILENCE_S:.0f} s" if isinstance(error, TimeoutError) else reason_of(error)
