"""The contract of a mechanism: one way a sender moves file bytes to a socket.

All mechanisms run in the same loop (zcload/lane/loads/stream.py), so they differ in `send` and in nothing else.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zcload.errors import StudyError
from zcload.linux.memory import PAGE, address_of, page_aligned
from zcload.model.study import SERVER

MAX_COUNT = 0x7FFFF000  # the most that one read, write or sendfile moves: sendfile(2) NOTES
MOST_CALLS = 16  # kinds of system calls that one mechanism may count: a lane's board has room for these and for the load's

OptionKind = type | range | tuple[str, ...]  # of an option: its type, the whole numbers that it takes, or its words, the default first
BUFFER_OFFSET: Mapping[str, OptionKind] = {
    "buffer_offset": range(PAGE)
}  # the option of what copies through a buffer: where in a page the buffer begins


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why this host cannot run a mechanism or sink, and what would change that."""

    reason: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Copies:
    """How often the CPU copies the payload on one side, as documented (docs/mechanisms.md), with the file in the page cache.

    *card*: with a network card that supports scatter-gather and checksum offload; *local*: over loopback and veth.
    """

    card: int
    local: int
    note: str = ""


class FileEndedEarly(StudyError):
    """A file held fewer bytes than its size said."""

    @classmethod
    def at(cls, offset: int, size: int) -> FileEndedEarly:
        """Return the error for a file of *size* bytes that ends at *offset*: why is not known, so what was seen is told."""
        return cls(f"the file ended at byte {offset}, and its size was {size} when it was opened: its content and its size must not change")


class Mechanism:
    """Move bytes of an open file to a connected, blocking TCP socket.

    Class attributes declare what the loop, the report and the checks need to know; code outside this file never compares names.
    """

    # Required: the name in configs and results, one line for `zcload mechanisms`, and the system calls that `send` makes,
    # in the order of `counts`.
    name: ClassVar[str]
    summary: ClassVar[str]
    calls: ClassVar[tuple[str, ...]] = ()

    # Optional: the defaults fit a mechanism that moves payload chunk by chunk.
    options: ClassVar[Mapping[str, OptionKind]] = {}  # its own config keys, and what they take
    moves_payload: ClassVar[bool] = True  # False: no digest, no per-GB figures
    one_call: ClassVar[bool] = False  # True: what `sender` returns is exactly one call of its only kind, which the loop counts
    whole_pass: ClassVar[bool] = False  # True: a window ends only where a pass over the file ends
    uses_chunk: ClassVar[bool] = True  # False: the chunk has no meaning for it
    overhead: ClassVar[str | None] = "null"  # the mechanism that moves nothing through the same code and so shows what a call costs
    copies: ClassVar[Copies | None] = None  # copies on the sending side; None: not documented
    calls_are_counted: ClassVar[bool] = True  # False: an event loop or library makes calls that nobody can count; then `calls` is empty
    encrypts: ClassVar[bool] = False  # True: `wrap` makes the receiver's end one that decrypts, so only sinks with `takes_tls` work
    unencrypted: ClassVar[str | None] = (
        None  # of one that encrypts: the mechanism that does the same without, which reports compare it with
    )
    locks_memory: ClassVar[bool] = False  # True: what it sets up counts as locked memory (RLIMIT_MEMLOCK)
    reconnects: ClassVar[bool] = True  # False: it cannot switch to another connection

    # How a header can go before a small file, the usual way first: "writev" calls `send_with_header`; the others are the load's.
    headers: ClassVar[tuple[str, ...]] = ("more", "cork", "plain")

    def __init_subclass__(cls) -> None:
        """Send through `send` in a class that only redefines that, itself or by a mixin, whatever shortcut it inherits."""
        super().__init_subclass__()
        if "sender" not in next(vars(each) for each in cls.__mro__ if vars(each).keys() & {"send", "sender"}):
            cls.sender, cls.one_call = Mechanism.sender, False  # type: ignore[method-assign]

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        """Take *sock* (connected, blocking), *fd* (the file, opened for this sender alone), its *size* and the *chunk*, in bytes."""
        self.sock = sock
        self.out = sock.fileno()
        self.fd = fd
        self.size = size
        self.chunk = chunk
        self.counts = [0] * len(self.calls)  # system calls made so far, by kind
        self.buffer_address: int | None = None  # of the memory that the payload is read into or mapped to for good, if there is any

    def allocate(self, size: int, offset: int = 0) -> memoryview:
        """Return the buffer that the payload goes through: *size* bytes, *offset* bytes into a page; its address is kept for the result."""
        buffer = page_aligned(size, offset)
        self.buffer_address = address_of(buffer)
        return buffer

    def send(self, offset: int, count: int) -> int:
        """Required. Send up to *count* bytes (1 or more, never past the end of the file) from *offset*.

        Return the bytes accepted, 1..count. Raise OSError as the system calls do, FileEndedEarly when the file is shorter.
        """
        raise NotImplementedError

    def sender(self) -> Callable[[int, int], int]:
        """Not required. Return what does `send(offset, count)` on the connection and file of now, for the loop of a stream.

        With *one_call* it can be the system call alone: the loop counts, and takes 0 for the end of a file that became shorter.
        """
        return self.send

    def send_with_header(self, header: bytes, offset: int, count: int) -> int:
        """Optional, for "writev" in `headers`. Do what `send` does, with *header* before the first byte in one call."""
        raise NotImplementedError

    def gather(self, kind: int, header: bytes, body: memoryview) -> int:
        """Send *header* and *body* with one sendmsg, counted as a call of *kind*; return the bytes of *body* accepted, at least 1."""
        self.counts[kind] += 1
        sent = self.sock.sendmsg((header, body)) - len(header)
        while sent < 1:  # a full socket or a signal
            self.counts[kind] += 1
            sent += self.sock.send(header[sent:] if sent else body)
        return sent

    @classmethod
    def probe(cls) -> Unavailable | None:
        """Optional. Return why this host cannot run the mechanism; None when it can."""
        return None

    @classmethod
    def probe_options(cls, options: Mapping[str, Any]) -> Unavailable | None:
        """Optional. Return why this host cannot run it with *options*, where `probe` found nothing; None when it can."""
        return None

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """Optional. Return the private bytes that one sender needs for a file of *size* bytes, besides a few MB for the process."""
        return chunk

    @classmethod
    def prepare(cls, sender: socket.socket, receiver: socket.socket) -> None:
        """Optional. Set up both ends of a connection before the workers are forked and a byte has moved; raises OSError."""

    @classmethod
    def wrap(cls, sender: socket.socket, receiver: socket.socket) -> tuple[socket.socket, socket.socket]:
        """Optional. Return both ends as the workers use them, such as TLS connections, after `prepare`; raises OSError, StudyError."""
        return sender, receiver

    def begin(self, fd: int, offset: int, count: int) -> None:
        """Optional. Prepare for a small file that was just opened: the next `send` calls are for *count* bytes from *offset*
        (page-aligned) of *fd*, another descriptor of the same large file.
        """
        self.fd = fd

    def end(self) -> None:
        """Optional. Release what `begin` made: all bytes of the small file were accepted, and its *fd* is closed next."""

    def reconnect(self, sock: socket.socket) -> None:
        """Optional. Switch to *sock*, a new connection; everything sent over the old one was drained."""
        self.sock, self.out = sock, sock.fileno()

    def drain(self) -> None:
        """Optional. Wait until the kernel has released every buffer; called before the lane comes to rest."""

    def forget(self) -> None:
        """Optional. Drop the file's pages from a mapping, so that they can leave the page cache; a later `send` may bring them
        back. Called between windows that begin with a cold cache.
        """

    @classmethod
    def holds_pages(cls) -> bool:
        """Return whether there is anything to `forget`."""
        return cls.forget is not Mechanism.forget

    def completions(self) -> dict[str, int]:
        """Optional. Return counters of what the kernel reported about its copies; empty where it reports nothing."""
        return {}

    def close(self) -> None:
        """Optional. Release everything; harmless when called twice. The loop closes the socket and the file."""

    def ended_early(self, offset: int) -> FileEndedEarly:
        """Build the error for a file that ends at *offset*, before its size."""
        return FileEndedEarly.at(offset, self.size)


class ExternalSender(Mechanism):
    """Stand for what a server does; it is measured from outside and never runs in the senders' loop."""

    name = SERVER
    summary = "whatever the server does"
    uses_chunk = False
    overhead = None  # no code of zcload's runs in it

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """Return 0: the need of a server is unknown before it runs."""
        return 0
