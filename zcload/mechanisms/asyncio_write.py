"""asyncio's StreamWriter.write and drain: read(2) into a new bytes object, then send(2), in an event loop.

What send does not take at once goes into the transport's buffer, a copy more. `drain` returns when that buffer is below its limit (16 KiB
after it was above 64 KiB), so up to 64 KiB wait there until the next chunk, or until the window ends.
"""

from __future__ import annotations

import os

from zcload.mechanisms.asyncio_base import AsyncioBase
from zcload.mechanisms.base import Copies


class AsyncioWrite(AsyncioBase):
    """Read a chunk, write it to the stream, wait for room."""

    name = "asyncio_write"
    summary = "asyncio's StreamWriter.write and drain: two copies, an allocation and an event loop's turn a chunk"
    copies = Copies(2, 2, "what the socket does not take at once is copied into the transport's buffer")

    async def move(self, offset: int, count: int) -> int:
        data = os.pread(self.fd, count, offset)
        self._writer.write(data)
        await self._writer.drain()
        return len(data)
