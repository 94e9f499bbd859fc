"""The registry of sinks: one line each."""

from __future__ import annotations

from zcload.sinks.base import Sink, Unavailable
from zcload.sinks.discard import Discard
from zcload.sinks.file import File
from zcload.sinks.recv import Recv
from zcload.sinks.splice_file import SpliceFile
from zcload.sinks.splice_null import SpliceNull
from zcload.sinks.uring_recv_multishot import UringRecvMultishot
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
        UringRecvMultishot,
    )
}


def new_sink(name: str, chunk: int, buffer_offset: int = 0) -> Sink:
    """Return the sink *name* for *chunk* bytes a call; its buffer, if it has one of its own, begins *buffer_offset* bytes into a page."""
    placed = {"buffer_offset": buffer_offset} if buffer_offset and "buffer_offset" in SINKS[name].options else {}
    return SINKS[name](chunk, **placed)


__all__ = ["SINKS", "Sink", "Unavailable", "new_sink"]
