"""The facts about a lane that a result's header stores before anything is measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from zcload.lane.call_kinds import receiver_calls, sender_calls
from zcload.lane.small_files.header import way_of
from zcload.mechanisms import mechanism_called, mechanism_of
from zcload.model.study import Contender, Point, origin_of
from zcload.sinks import SINKS


def lane_facts(variant: Contender, point: Point) -> dict[str, Any]:
    """Return *variant*, as it is at *point*, as data.

    *calls* are the kinds of system calls in the order in which windows count them; *copies* those of the CPU, as documented.
    """
    mechanism, sink = mechanism_of(variant), SINKS[variant.sink]
    tls = variant.server.tls if variant.server is not None else mechanism.encrypts
    # What is said of a sink's copies is so of a plain socket: decryption is one pass more, and so are the frames of HTTP/2.
    framed = variant.server is not None and variant.server.http2
    copies = {"sender": mechanism.copies, "receiver": None if tls or framed else sink.copies}
    calls = {
        "sender": list(sender_calls(origin_of(variant, point) if point.origin else variant, point)),
        "receiver": list(_served_calls(sink.name, point, tls) if variant.server is not None else receiver_calls(variant, point)),
    }
    if point.origin:
        copies |= {"sender": mechanism_called(point.origin).copies, "relay": mechanism.copies}
        calls["relay"] = list(mechanism.calls)
    return {
        "name": variant.name,
        "mechanism": mechanism.name,
        "sink": sink.name,
        "chunk_bytes": variant.chunk if mechanism.uses_chunk else None,
        "options": dict(variant.options),
        "aa": variant.aa,
        "over": variant.over,
        "moves_payload": mechanism.moves_payload,
        "overhead": mechanism.overhead,
        "unencrypted": mechanism.unencrypted,
        "header": way_of(variant) if point.header_bytes and variant.server is None else None,
        "calls": calls,
        "copies": {role: asdict(found) if found else None for role, found in copies.items()},
    }


def _served_calls(sink: str, point: Point, tls: bool) -> tuple[str, ...]:
    from zcload.server.http.receiver import receiver_calls

    return receiver_calls(sink, point, tls)
