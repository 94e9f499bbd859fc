"""The kinds of system calls that a lane's workers count, in the order of their words on the board."""

from __future__ import annotations

from zcload.lane.receiver import call_names
from zcload.lane.sender import load_of
from zcload.lane.small_files.receive_loop import CALLS as FILE_CALLS
from zcload.mechanisms import mechanism_of
from zcload.model.study import Contender, Point
from zcload.sinks import SINKS


def sender_calls(variant: Contender, point: Point) -> tuple[str, ...]:
    """Return those of a sender: the mechanism's, then the load's.

    None where the mechanism's cannot be counted: those of the load alone would pass for all.
    """
    mechanism = mechanism_of(variant)
    return mechanism.calls + load_of(point).calls(point) if mechanism.calls_are_counted else ()


def receiver_calls(variant: Contender, point: Point) -> tuple[str, ...]:
    """Return those of a receiver: the sink's, then what its loop makes beside.

    None where it decrypts: the library reads record by record, and the turns that the receiver counts are not the calls it makes.
    """
    if mechanism_of(variant).encrypts:
        return ()
    if point.transfer == "per-file":
        return SINKS[variant.sink].calls + FILE_CALLS
    return call_names(variant.sink, -(-point.senders // point.receiver_count))
