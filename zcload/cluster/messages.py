"""What the coordinator and its agents say to each other: typed records, to bytes and back. Only at the edges of windows, never inside.

Every record is checked against its type when it is read: what comes from another host is not trusted to be what was asked for.
Times named _ns are CLOCK_MONOTONIC of the host that sends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from zcload.cluster.answers import (
    CannotRun,
    Counted,
    Described,
    Done,
    Failed,
    FileOpened,
    HostCounters,
    LaneUp,
    Listening,
    MachineRead,
    Overhead,
    Parked,
    Pong,
    Probed,
    Reported,
    Sampled,
    Settled,
    Verified,
)
from zcload.cluster.orders import (
    Arm,
    CheckFiles,
    Close,
    Describe,
    Listen,
    Open,
    OpenFile,
    Ping,
    Probe,
    Quit,
    ReadMachine,
    Ready,
    Report,
    Settle,
    SetUp,
    TakeSample,
    Target,
    TearDown,
    Verify,
)
from zcload.errors import StudyError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "PROTOCOL",
    "Arm",
    "CannotRun",
    "Challenge",
    "CheckFiles",
    "Close",
    "Counted",
    "Describe",
    "Described",
    "Done",
    "Failed",
    "FileOpened",
    "Hello",
    "HostCounters",
    "LaneUp",
    "Listen",
    "Listening",
    "MachineRead",
    "Message",
    "Open",
    "OpenFile",
    "Overhead",
    "Parked",
    "Ping",
    "Pong",
    "Probe",
    "Probed",
    "Quit",
    "ReadMachine",
    "Ready",
    "Report",
    "Reported",
    "Sampled",
    "SetUp",
    "Settle",
    "Settled",
    "TakeSample",
    "Target",
    "TearDown",
    "Verified",
    "Verify",
    "Welcome",
    "decode",
    "encode",
]

PROTOCOL = 1  # changes with any record; hosts of another zcload are refused by version before this matters

_SHORT = 256  # bytes


Order = (
    Ping
    | Describe
    | Probe
    | OpenFile
    | CheckFiles
    | Listen
    | SetUp
    | Verify
    | Ready
    | Arm
    | Open
    | Close
    | Settle
    | ReadMachine
    | TakeSample
    | Report
    | TearDown
    | Quit
)
Answer = (
    Pong
    | Described
    | Probed
    | FileOpened
    | Listening
    | LaneUp
    | Verified
    | Settled
    | Parked
    | MachineRead
    | Sampled
    | Reported
    | Done
    | Failed
)


# Before either: who is there.


@dataclass(frozen=True, slots=True)
class Challenge:
    """The coordinator's first words to whoever connects: what to prove knowledge of the secret with."""

    nonce: str
    kind: Literal["challenge"] = "challenge"


@dataclass(frozen=True, slots=True)
class Hello:
    """An agent that proves itself with *proof*, and what the coordinator is to prove itself with."""

    host: str
    zcload_version: str
    protocol: int
    nonce: str
    proof: str
    kind: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class Welcome:
    """The coordinator's proof; with *refused* the reason why it lets the agent go."""

    proof: str
    refused: str | None = None
    kind: Literal["welcome"] = "welcome"


Greeting = Challenge | Hello | Welcome
Message = Order | Answer | Greeting


@cache
def _adapter() -> TypeAdapter[Message]:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def encode(message: Message) -> bytes:
    """Return *message* as JSON."""
    return _adapter().dump_json(message)


def decode(data: bytes) -> Message:
    """Return the message that *data* holds; raises StudyError if it is none."""
    return _decode_again(data) if len(data) <= _SHORT else _decode(data)


@lru_cache(maxsize=256)
def _decode_again(data: bytes) -> Message:
    """Decode a short message. The same few come for every window, and one of them while it is open: it should cost next to nothing."""
    return _decode(data)


def _decode(data: bytes) -> Message:
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise StudyError(f"a message that is none: {place}: {first['msg']}") from None
