"""The registry of mechanisms: one line each, in the order of reports and of `zcload mechanisms`; installed packages add theirs."""

from __future__ import annotations

from zcload.mechanisms.asyncio_sendfile import AsyncioSendfile
from zcload.mechanisms.asyncio_write import AsyncioWrite
from zcload.mechanisms.base import ExternalSender, FileEndedEarly, Mechanism, Unavailable
from zcload.mechanisms.copyfileobj import Copyfileobj
from zcload.mechanisms.ktls_send import KtlsSend
from zcload.mechanisms.ktls_sendfile import KtlsSendfile
from zcload.mechanisms.mmap_send import MmapSend
from zcload.mechanisms.msg_zerocopy import MsgZerocopy
from zcload.mechanisms.msg_zerocopy_buffer import MsgZerocopyBuffer
from zcload.mechanisms.null import Null
from zcload.mechanisms.own_contract import check_transfer
from zcload.mechanisms.own_file import is_file_form, load_file
from zcload.mechanisms.read_send import ReadSend
from zcload.mechanisms.registry import Registry
from zcload.mechanisms.relay import Relay
from zcload.mechanisms.relay_read_send import RelayReadSend
from zcload.mechanisms.relay_splice import RelaySplice
from zcload.mechanisms.sendfile import Sendfile
from zcload.mechanisms.sendmsg_vectors import SendmsgVectors
from zcload.mechanisms.slurp_send import SlurpSend
from zcload.mechanisms.socket_sendfile import SocketSendfile
from zcload.mechanisms.splice import Splice
from zcload.mechanisms.tls_send import TlsSend
from zcload.mechanisms.uring_null import UringNull
from zcload.mechanisms.uring_read_send import UringReadSend
from zcload.mechanisms.uring_send_bundle import UringSendBundle
from zcload.mechanisms.uring_send_zc import UringSendZc
from zcload.mechanisms.uring_send_zc_fixed import UringSendZcFixed
from zcload.mechanisms.uring_send_zc_mapped import UringSendZcMapped
from zcload.mechanisms.uring_splice import UringSplice
from zcload.mechanisms.vmsplice import VmspliceSend
from zcload.model.study import Contender, Variant

# In the order of reports.
_OWN: tuple[type[Mechanism], ...] = (
    ReadSend,
    SlurpSend,
    MmapSend,
    Sendfile,
    Splice,
    MsgZerocopy,
    MsgZerocopyBuffer,
    UringReadSend,
    UringSendZc,
    UringSendZcFixed,
    UringSendZcMapped,
    UringSendBundle,
    UringSplice,
    TlsSend,
    KtlsSend,
    KtlsSendfile,
    VmspliceSend,
    SendmsgVectors,
    SocketSendfile,
    Copyfileobj,
    AsyncioSendfile,
    AsyncioWrite,
    Null,
    UringNull,
)

# What passes bytes on from one connection to another, in a process between sender and receiver.
RELAYS: dict[str, type[Relay]] = {relay.name: relay for relay in (RelayReadSend, RelaySplice)}
MECHANISMS = Registry(_OWN, taken=RELAYS)
BUILT_IN = frozenset[type[Mechanism]]({*_OWN, *RELAYS.values()})

__all__ = [
    "BUILT_IN",
    "MECHANISMS",
    "RELAYS",
    "FileEndedEarly",
    "Mechanism",
    "Relay",
    "Unavailable",
    "check_transfer",
    "mechanism_called",
    "mechanism_of",
    "origin_names",
    "relay_of",
]


def mechanism_called(name: str) -> type[Mechanism]:
    """Return the mechanism that a config calls *name*: a registered one, or "FILE.py:Class".

    Raises KeyError for a name that is not registered, ValueRefused for a file's class that breaks the contract.
    """
    if is_file_form(name):
        return load_file(name, {*MECHANISMS, *RELAYS})[1]
    return RELAYS[name] if name in RELAYS else MECHANISMS[name]


def mechanism_of(variant: Variant | Contender) -> type[Mechanism]:
    """Return the class that declares how *variant* moves the file."""
    return ExternalSender if variant.server is not None else mechanism_called(variant.mechanism)


def relay_of(variant: Variant | Contender) -> type[Relay]:
    """Return the class that passes the bytes of *variant* on; raises KeyError where nothing does."""
    return RELAYS[variant.mechanism]


def origin_names() -> tuple[str, ...]:
    """Return the mechanisms that may send to a relay: those that need nothing of the other end and whose sends nothing is told of."""
    return tuple(
        name
        for name, cls in MECHANISMS.items()
        if cls in BUILT_IN
        and cls.moves_payload
        and not cls.encrypts
        and cls.completions is Mechanism.completions
        and cls.prepare.__func__ is Mechanism.prepare.__func__  # type: ignore[attr-defined]
    )
