"""One file over a plain TCP stream, by hand: `zcload receive` and `zcload send`. No framing, so `nc` can be either side."""

from __future__ import annotations

from zcload.oneshot.address import DEFAULT_ADDRESS
from zcload.oneshot.receive import Received, receive
from zcload.oneshot.send import Sent, send

__all__ = ["DEFAULT_ADDRESS", "Received", "Sent", "receive", "send"]
