"""What the ways of asyncio share: an event loop for each sender, a transport over its connection, and an await for each chunk.

`loop` says whose loop: asyncio's own, or uvloop's (https://github.com/MagicStack/uvloop), which drives the same API with libuv.

In a stream the loop runs from a window's opening to its end (zcload/lane/loads/stream.py), as it does in a server; at a rate and for small
files `send` starts it for each chunk and stops it. The connection is non-blocking while a transport has it, as asyncio demands, and
blocks again between small files. asyncio sets TCP_NODELAY on it (CPython Lib/asyncio/selector_events.py, `_SelectorSocketTransport`).
"""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from zcload.errors import os_error
from zcload.mechanisms.base import Mechanism, Unavailable

if TYPE_CHECKING:
    import asyncio

Result = TypeVar("Result")
ASYNCIO, UVLOOP = "asyncio", "uvloop"


def new_loop(loop: str) -> asyncio.AbstractEventLoop:
    """Return a new event loop: *loop* says whose."""
    if loop == UVLOOP:
        import uvloop

        made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return made
    import asyncio

    return asyncio.new_event_loop()


class _Borrowed(socket.socket):
    """A connection for a transport, which closes what it is given: the load closes its connections itself."""

    def close(self) -> None:
        self.detach()


class AsyncioBase(Mechanism):
    """Keep an event loop and a connection that it drives. Subclasses say what one chunk awaits."""

    calls_are_counted = False  # the loop makes its own: epoll_wait, epoll_ctl and what its transports need
    options = {"loop": (ASYNCIO, UVLOOP)}

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, loop: str = ASYNCIO) -> None:
        super().__init__(sock, fd, size, chunk)
        self._closes = loop == UVLOOP  # libuv closes the descriptor that a transport has, and cannot be kept from it
        self._loop = new_loop(loop)
        self._connect(sock)

    @classmethod
    def probe_options(cls, options: Mapping[str, Any]) -> Unavailable | None:
        if options.get("loop") == UVLOOP and importlib.util.find_spec(UVLOOP) is None:
            return Unavailable("uvloop is not installed", "run `pip install uvloop`, or set loop = 'asyncio'")
        return None

    @classmethod
    def prepare(cls, sender: socket.socket, receiver: socket.socket) -> None:
        """Import asyncio before workers are forked: in each of them it would take longer than all else."""
        import asyncio  # noqa: F401

    async def move(self, offset: int, count: int) -> int:
        """Required. Await what gives up to *count* bytes from *offset* to the transport; return how many it took, 0 at the file's end."""
        raise NotImplementedError

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run the loop until *coroutine* has ended, and return its result."""
        return self._loop.run_until_complete(coroutine)

    def send(self, offset: int, count: int) -> int:
        return self.run(self.send_in_loop(offset, count))

    async def send_in_loop(self, offset: int, count: int) -> int:
        """Do what `send` does, in the loop that runs."""
        if self._writer.transport.is_closing():
            raise os_error(errno.ECONNRESET)
        try:
            moved = await self.move(offset, count)
        except ConnectionError as error:
            raise error if error.errno else os_error(errno.ECONNRESET) from None  # asyncio raises its own, without a number
        if not moved:
            raise self.ended_early(offset)
        return moved

    def begin(self, fd: int, offset: int, count: int) -> None:
        super().begin(fd, offset, count)
        os.set_blocking(self.out, False)

    def end(self) -> None:
        """Wait until the transport's buffer is empty: the load then waits for the receiver on the same connection."""
        self.drain()
        os.set_blocking(self.out, True)

    def reconnect(self, sock: socket.socket) -> None:
        self._disconnect()
        super().reconnect(sock)
        self._connect(sock)

    def drain(self) -> None:
        """Run the loop until the transport has given all its bytes to the socket."""
        if not self._loop.is_closed() and self._writer.transport.get_write_buffer_size():
            self.run(self._flush())

    def close(self) -> None:
        if not self._loop.is_closed():
            self._disconnect()
            self._loop.close()

    async def _flush(self) -> None:
        transport = self._writer.transport
        transport.set_write_buffer_limits(0)  # so that StreamWriter.drain waits for the last byte
        try:
            await self._writer.drain()
        finally:
            transport.set_write_buffer_limits()

    def _connect(self, sock: socket.socket) -> None:
        import asyncio

        lent = sock.dup() if self._closes else _Borrowed(fileno=sock.fileno())
        _, self._writer = self.run(asyncio.open_connection(sock=lent))
        cast("asyncio.ReadTransport", self._writer.transport).pause_reading()  # what the receiver answers is for the load

    def _disconnect(self) -> None:
        """Take the connection from its transport; it blocks again."""
        if self.sock.fileno() >= 0:
            os.set_blocking(self.sock.fileno(), True)
        self._writer.transport.abort()
        self.run(_turn())


async def _turn() -> None:
    """Let the loop run what is scheduled: a transport that is aborted ends in the next turn."""
    import asyncio

    await asyncio.sleep(0)
    await asyncio.sleep(0)
