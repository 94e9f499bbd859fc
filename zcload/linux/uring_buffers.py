"""Buffers that an io_uring operation chooses from by itself: a ring of provided buffers [5.19], io_uring_register(2)."""

from __future__ import annotations

import struct

from zcload.linux import uring_abi as abi
from zcload.linux.memory import address_of, anonymous
from zcload.linux.uring import Ring

_TAIL = struct.Struct("=H")


class BufferRing:
    """A ring of at most *entries* provided buffers, a power of two up to 32768, which *ring* knows as *group*.

    Provide buffers, then publish them. The kernel takes them in that order, inside io_uring_enter and so in the calling thread:
    program order is enough, as for the ring itself.
    """

    def __init__(self, ring: Ring, entries: int, group: int = 0) -> None:
        """Register the buffers' ring; raises OSError, EINVAL where the kernel has none (before Linux 5.19)."""
        self._ring, self._memory = ring, anonymous(entries * abi.BUF_BYTES)
        self._entries, self._tail, self.group = entries, 0, group
        ring.register_provided(address_of(self._memory), entries, group)

    def provide(self, address: int, size: int, number: int) -> None:
        """Add the buffer *number* of *size* bytes at *address*; the kernel sees it after `publish`."""
        abi.BUF.pack_into(self._memory, self._tail % self._entries * abi.BUF_BYTES, address, size, number)
        self._tail = (self._tail + 1) & 0xFFFF

    def publish(self) -> None:
        """Show the kernel what was provided."""
        _TAIL.pack_into(self._memory, abi.BUF_TAIL, self._tail)

    def reset(self) -> None:
        """Take back all buffers that the kernel has not used; raises OSError. No operation may be under way."""
        self._ring.unregister_provided(self.group)
        self._tail = 0
        self.publish()
        self._ring.register_provided(address_of(self._memory), self._entries, self.group)

    def close(self) -> None:
        """Free the ring's memory, once the io_uring is closed; harmless when called twice."""
        self._memory.close()
