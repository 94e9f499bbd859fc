"""The contract of a sink: one way a receiver takes bytes off a socket."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from zcload.errors import StudyError, reason_of
from zcload.linux.memory import address_of, page_aligned
from zcload.linux.sockets import connected_pair
from zcload.mechanisms.base import BUFFER_OFFSET, Copies, OptionKind, Unavailable
from zcload.sinks.poller import Poller

__all__ = ["BUFFER_OFFSET", "Copies", "Sink", "Unavailable", "probe_transfer"]

_PROBE_BYTES = 10_000  # two pages and a bit


class Sink:
    """Take bytes off connected TCP sockets; one sink serves all connections of a receiver."""

    # Required.
    name: ClassVar[str]
    summary: ClassVar[str]
    calls: ClassVar[tuple[str, ...]] = ("recv",)
    sees_payload: ClassVar[bool] = True  # False: the bytes cannot be read afterwards, so only their number is checked
    takes_tls: ClassVar[bool] = False  # True: it uses only recv_into, which a TLS connection has too

    # Optional.
    options: ClassVar[Mapping[str, OptionKind]] = {}  # its own settings, and what they take
    one_call: ClassVar[bool] = False  # whether each receive is exactly one call of its only kind, so that the loop can count them
    copies: ClassVar[Copies | None] = None  # copies on the receiving side; None: not documented
    takes_ahead: ClassVar[bool] = False  # True: the kernel takes bytes off a connection before they are asked for, to its end
    waits_with: ClassVar[str | None] = "epoll_wait"  # the call of its `poller`; None: one of `calls`, and counted there
    measures: ClassVar[tuple[str, ...]] = ()  # names of the totals in `measured`

    def __init_subclass__(cls) -> None:
        """Have a class that only redefines `receive`, itself or by a mixin, received through that, whatever shortcut it inherits."""
        super().__init_subclass__()
        if "receiver" not in next(vars(each) for each in cls.__mro__ if vars(each).keys() & {"receive", "receiver"}):
            cls.receiver, cls.one_call = Sink.receiver, vars(cls).get("one_call", False)  # type: ignore[method-assign]

    def __init__(self, chunk: int) -> None:
        """Prepare to take up to *chunk* bytes a call."""
        self.chunk = chunk
        self.counts = [0] * len(self.calls)
        self.measured = [0] * len(self.measures)  # the totals so far, whole numbers in the order of `measures`
        self.payload = memoryview(b"")  # where the bytes of the last `receive` are until the next, if this sink sees them
        self.buffer_address: int | None = None  # of the memory that the payload is copied to, if there is any

    def allocate(self, size: int, offset: int = 0) -> memoryview:
        """Return the buffer that the payload goes to: *size* bytes, *offset* bytes into a page; its address is kept for the result."""
        buffer = page_aligned(size, offset)
        self.buffer_address = address_of(buffer)
        return buffer

    def attach(self, sock: socket.socket) -> None:
        """Optional. Set up for the connection *sock*; called once for each, before its first `receive`. Raises OSError, StudyError."""

    def detach(self, sock: socket.socket) -> None:
        """Optional. Release what belongs to *sock*, which is about to be closed; other connections stay."""

    def receive(self, sock: socket.socket) -> int:
        """Required. Wait for bytes on *sock* and take up to a chunk of them; return their number, 0 at the end of the stream."""
        raise NotImplementedError

    def receiver(self, sock: socket.socket) -> Callable[[], int]:
        """Not required. Return what does `receive(sock)`, for a loop that has nothing else to say.

        A sink of *one_call* may leave the counting of it to the loop, and so be the system call alone.
        """
        return partial(self.receive, sock)

    def receive_up_to(self, sock: socket.socket, most: int) -> int:
        """Optional. Do the same, but take at most *most* bytes: what follows them is not payload."""
        raise StudyError(f'{self.name} cannot read a chunked body, because it cannot stop in the middle of a stream; use sink = "recv"')

    def poller(self) -> Poller:
        """Optional. Return what waits for several connections; they are registered after `attach`."""
        return select.epoll()

    @classmethod
    def probe(cls) -> Unavailable | None:
        """Optional. Return why this host cannot run the sink; None when it can."""
        return None

    @classmethod
    def private_bytes(cls, chunk: int) -> int:
        """Optional. Return the private bytes that one receiver needs, besides a few MB for the process."""
        return chunk

    def close(self) -> None:
        """Optional. Release everything; harmless when called twice."""


def probe_transfer(make: Callable[[], Sink], remedy: str) -> Unavailable | None:
    """Send a few bytes through the sink that *make* makes, over loopback; return why that fails, with *remedy*, None if it works."""
    try:
        sink = make()
        try:
            with connected_pair() as (sender, receiver):
                sink.attach(receiver)
                sender.sendall(bytes(_PROBE_BYTES))
                sender.shutdown(socket.SHUT_WR)
                taken = 0
                while got := sink.receive(receiver):
                    taken += got
        finally:
            sink.close()
    except OSError as error:
        return Unavailable(f"{error.filename}: {reason_of(error)}" if error.filename else reason_of(error), remedy)
    return None if taken == _PROBE_BYTES else Unavailable(f"only {taken} of {_PROBE_BYTES} bytes arrived", remedy)
