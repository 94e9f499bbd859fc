"""The stand-in for a server where code asks a variant for its mechanism: zcload does not count the server's calls."""

from __future__ import annotations

from zcload.mechanisms.base import Mechanism
from zcload.model.study import SERVER


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
