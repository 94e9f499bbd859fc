"""The mechanisms: one file each, one line here. The order is the order of reports and of `zcload mechanisms`."""

from __future__ import annotations

from zcload.mechanisms.base import FileEndedEarly, Mechanism, Unavailable
from zcload.mechanisms.ktls_sendfile import KtlsSendfile
from zcload.mechanisms.mmap_send import MmapSend
from zcload.mechanisms.null import Null
from zcload.mechanisms.read_send import ReadSend
from zcload.mechanisms.sendfile import Sendfile
from zcload.mechanisms.slurp_send import SlurpSend
from zcload.mechanisms.splice import Splice

MECHANISMS: dict[str, type[Mechanism]] = {
    mechanism.name: mechanism
    for mechanism in (
        ReadSend,
        SlurpSend,
        MmapSend,
        Sendfile,
        Splice,
        KtlsSendfile,
        Null,
    )
}

__all__ = ["MECHANISMS", "FileEndedEarly", "Mechanism", "Unavailable"]
