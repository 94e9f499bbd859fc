"""What a server under test is to the code that asks a variant for its mechanism: its calls are its own and nobody counts them."""

from __future__ import annotations

from zcload.mechanisms.base import Mechanism
from zcload.model.study import SERVER


class ExternalSender(Mechanism):
    """Stand for whatever a server does; it is measured from outside and never runs in the senders' loop."""

    name = SERVER
    summary = "whatever the server does"
    uses_chunk = False
    overhead = None  # no code of zcload's runs in it

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """Return 0: what a server needs is not known before it runs."""
        return 0
