"""No system call and no byte: measures what the senders' loop costs per call."""

from __future__ import annotations

from zcload.mechanisms.base import Copies, Mechanism


class Null(Mechanism):
    """Claim every byte, move none."""

    name = "null"
    summary = "moves nothing: measures the loop's own cost per call"
    copies = Copies(0, 0)
    moves_payload = False

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None."""
        return 0

    def send(self, offset: int, count: int) -> int:
        return count
