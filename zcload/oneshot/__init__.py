"""Move one file over a plain TCP stream with `zcload receive` and `zcload send`. No framing: `nc` can be either end."""

from __future__ import annotations

from zcload.oneshot.address import DEFAULT_ADDRESS
from zcload.oneshot.receive import Received, receive
from zcload.oneshot.send import Sent, send

__all__ = ["DEFAULT_ADDRESS", "Received", "Sent", "receive", "send"]
