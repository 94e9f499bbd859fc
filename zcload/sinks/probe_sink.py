"""A test transfer through a sink: the probe of sinks that need more than recv."""

from __future__ import annotations

import socket

from zcload.errors import reason_of
from zcload.linux.loopback import connected_pair
from zcload.sinks.base import Sink

_BYTES = 10_000  # two pages and a bit


def probe_transfer(sink: Sink) -> OSError | None:
    """Send a few bytes through *sink* over loopback, then close it; return the error, None if it worked."""
    try:
        with connected_pair() as (sender, receiver):
            sink.attach(receiver)
            sender.sendall(bytes(_BYTES))
            sender.shutdown(socket.SHUT_WR)
            taken = 0
            while got := sink.receive(receiver):
                taken += got
        return None if taken == _BYTES else OSError(0, f"only {taken} of {_BYTES} bytes arrived")
    except OSError as error:
        return error
    finally:
        sink.close()


def describe_error(error: OSError) -> str:
    """Return the text of *error*, with the file it names."""
    return f"{error.filename}: {reason_of(error)}" if error.filename else reason_of(error)
