"""asyncio's loop.sendfile over a transport: sendfile(2) on a non-blocking socket, and epoll until the chunk is sent.

After each sendfile that took a part, and after each that would block, the loop waits for room with epoll
(CPython Lib/asyncio/unix_events.py, `_sock_sendfile_native_impl`). Where sendfile cannot, asyncio reads 16 KiB at a time
and writes them; here such reads are counted. uvloop has no sendfile: its `loop.sendfile` raises NotImplementedError.
"""

from __future__ import annotations

import functools
import io
import os
import socket
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from zcload.mechanisms.asyncio_base import ASYNCIO, UVLOOP, AsyncioBase, new_loop
from zcload.mechanisms.base import Copies, Unavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _CountedFile(io.FileIO):
    """A file that counts the bytes that the fall-back reads; sendfile goes by its descriptor and reads nothing."""

    read_bytes = 0

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        got = super().readinto(buffer) or 0
        self.read_bytes += got
        return got


class AsyncioSendfile(AsyncioBase):
    """Have the event loop send the file."""

    name = "asyncio_sendfile"
    summary = "asyncio's loop.sendfile: sendfile on a non-blocking socket, with an event loop's turns a chunk"
    copies = Copies(0, 0)

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, loop: str = ASYNCIO) -> None:
        super().__init__(sock, fd, size, chunk, loop=loop)
        self._file = _CountedFile(fd, closefd=False)
        self._fallbacks = self._fallback_bytes = 0

    @classmethod
    def probe_options(cls, options: Mapping[str, Any]) -> Unavailable | None:
        return super().probe_options(options) or (_lacks_sendfile() if options.get("loop") == UVLOOP else None)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """Return 0: the kernel moves the page cache's own pages."""
        return 0

    async def move(self, offset: int, count: int) -> int:
        sent = await self._loop.sendfile(self._writer.transport, self._file, offset, count)
        if self._file.read_bytes:
            self._fallbacks += 1
            self._fallback_bytes += self._file.read_bytes
            self._file.read_bytes = 0
        return sent

    def begin(self, fd: int, offset: int, count: int) -> None:
        super().begin(fd, offset, count)
        self._file.close()
        self._file = _CountedFile(fd, closefd=False)

    def completions(self) -> dict[str, int]:
        return {"fallbacks": self._fallbacks, "fallback_bytes": self._fallback_bytes} if self._fallbacks else {}

    def close(self) -> None:
        super().close()
        self._file.close()


@functools.cache
def _lacks_sendfile() -> Unavailable | None:
    """Try whether uvloop's loop.sendfile sends, as later versions may."""
    ends = socket.socketpair()
    with ends[0], ends[1], closing(new_loop(UVLOOP)) as loop, open(os.devnull, "rb") as nothing:

        async def try_it() -> None:
            import asyncio

            _, writer = await asyncio.open_connection(sock=ends[0].dup())
            try:
                await loop.sendfile(writer.transport, nothing)
            finally:
                writer.close()
                await writer.wait_closed()

        try:
            loop.run_until_complete(try_it())
        except NotImplementedError:
            import importlib.metadata

            what = f"uvloop {importlib.metadata.version(UVLOOP)} has no loop.sendfile: it raises NotImplementedError"
            return Unavailable(what, "set loop = 'asyncio', or compare asyncio_write")
    return None
