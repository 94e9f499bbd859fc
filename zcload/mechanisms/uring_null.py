"""Two linked io_uring NOPs a call and no byte: measures what zcload's io_uring binding costs per call.

System calls: one io_uring_enter a chunk, like the io_uring mechanisms. This cost, in Python and in the call, is part of their figures
and is not the kernel's work on the bytes.
"""

from __future__ import annotations

from zcload.linux import uring
from zcload.linux.uring_abi import IOSQE_IO_LINK, NOP
from zcload.mechanisms.base import Copies, Unavailable
from zcload.mechanisms.uring_base import Ringed

LINKED = 2  # as most mechanisms link: a read or splice, and a send


class UringNull(Ringed):
    """Claim every byte; the kernel does nothing."""

    name = "uring_null"
    summary = "io_uring NOPs: moves nothing, measures what the io_uring binding costs per call"
    copies = Copies(0, 0)
    moves_payload = False
    operations = (NOP,)
    linked = LINKED

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None."""
        return 0

    @classmethod
    def probe(cls) -> Unavailable | None:
        why = uring.why_not(cls.operations)
        return Unavailable(*why) if why else None

    def send(self, offset: int, count: int) -> int:
        for left in range(self.linked, 0, -1):
            self._tag += 1
            self._ring.prepare(NOP, -1, 0, 0, tag=self._tag, entry_flags=IOSQE_IO_LINK if left > 1 else 0)
        self._run(self.linked)
        return count

    def completions(self) -> dict[str, int]:
        return {}
