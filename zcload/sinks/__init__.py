"""The registry of sinks: one line each."""

from __future__ import annotations

from zcload.sinks.base import Sink, Unavailable
from zcload.sinks.discard import Discard
from zcload.sinks.file import File
from zcload.sinks.recv import Recv
from zcload.sinks.splice_file import SpliceFile
from zcload.sinks.splice_null import SpliceNull
from zcload.sinks.zerocopy_receive import ZerocopyReceive

SINKS: dict[str, type[Sink]] = {
    sink.name: sink
    for sink in (
        Recv,
        Discard,
        SpliceNull,
        File,
        SpliceFile,
        ZerocopyReceive,
    )
}

__all__ = ["SINKS", "Sink", "Unavailable"]
