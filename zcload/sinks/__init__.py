"""The sinks: one file each, one line here."""

from __future__ import annotations

from zcload.sinks.base import Sink, Unavailable
from zcload.sinks.discard import Discard
from zcload.sinks.recv import Recv

SINKS: dict[str, type[Sink]] = {sink.name: sink for sink in (Recv, Discard)}

__all__ = ["SINKS", "Sink", "Unavailable"]
