"""One file over a plain TCP stream, by hand: `zcload receive` and `zcload send`. No framing, so `nc` can be either side."""

from __future__ import annotations

from zcload.transfer.address import DEFAULT_ADDRESS
from zcload.transfer.receiving import Received, receive
from zcload.transfer.sending import Sent, send

__all__ = ["DEFAULT_ADDRESS", "Received", "Sent", "receive", "send"]
