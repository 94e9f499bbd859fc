"""The kinds of system calls that a lane's workers count, in the order of their words on the board."""

from __future__ import annotations

from zcload.lane.receiver import call_names
from zcload.lane.sender import load_of
from zcload.lane.small_files.receive_loop import CALLS as FILE_CALLS
from zcload.mechanisms import mechanism_of
from zcload.model.study import Contender, Point
from zcload.sinks import SINKS


def sender_calls(variant: Contender, point: Point) -> tuple[str, ...]:
    """Return the kinds that a sender counts: the mechanism's, then the load's.

    Empty where the mechanism's cannot be counted, because the load's alone would look like all of them.
    """
    mechanism = mechanism_of(variant)
    return mechanism.calls + load_of(point).calls(point) if mechanism.calls_are_counted else ()


def receiver_calls(variant: Contender, point: Point) -> tuple[str, ...]:
    """Return the kinds that a receiver counts: the sink's, then those of its loop.

    Empty where it decrypts: the library reads record by record, so the turns that the receiver counts are not its system calls.
    """
    if mechanism_of(variant).encrypts:
        return ()
    if point.transfer == "per-file":
        return SINKS[variant.sink].calls + FILE_CALLS
    return call_names(variant.sink, -(-point.senders // point.receiver_count))
