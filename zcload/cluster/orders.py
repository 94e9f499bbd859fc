"""What the coordinator orders its agents to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zcload.model.study import Contender, Point


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer at once: `Pong`. For the round trip, and for the offset of the clocks."""

    kind: Literal["ping"] = "ping"


@dataclass(frozen=True, slots=True)
class Describe:
    """Say what this host is: `Described`. *address* picks the data network: an interface, a subnet, an address.

    With *checks* also what spoils measurements here, which takes half a second.
    """

    address: str
    checks: bool
    kind: Literal["describe"] = "describe"


@dataclass(frozen=True, slots=True)
class Probe:
    """Say which of *contenders* this host cannot run at *point* in its *roles*: `Probed`."""

    point: Point
    contenders: list[Contender]
    roles: list[Literal["sender", "receiver"]]
    kind: Literal["probe"] = "probe"


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Make or open the file of *point*, which this host is to send: `FileOpened`."""

    point: Point
    kind: Literal["open-file"] = "open-file"


@dataclass(frozen=True, slots=True)
class CheckFiles:
    """Fail if a file that was opened has been changed since: `Done`."""

    kind: Literal["check-files"] = "check-files"


@dataclass(frozen=True, slots=True)
class Target:
    """Connections *numbers* of a lane, which lead to *address* and *port*."""

    address: str
    port: int
    numbers: list[int]


@dataclass(frozen=True, slots=True)
class Listen:
    """Listen for the connections of lane *lane*: `Listening`."""

    lane: int
    point: Point
    connections: int
    kind: Literal["listen"] = "listen"


@dataclass(frozen=True, slots=True)
class SetUp:
    """Connect and fork this host's part of lane *lane*: `LaneUp`.

    *targets* are the connections that this host sends over, *receivers* the numbers of those that each of its receivers takes.
    *expected* says how many bytes of each are digested first; nothing without verification. *draw* seeds the CPU roles.
    """

    lane: int
    contender: Contender
    point: Point
    secret: str
    targets: list[Target]
    receivers: list[list[int]]
    expected: dict[int, int]
    draw: int
    kind: Literal["set-up"] = "set-up"


@dataclass(frozen=True, slots=True)
class Verify:
    """Wait for the workers of *lane*, have the senders send their shares once and the receivers digest them: `Verified`."""

    lane: int
    kind: Literal["verify"] = "verify"


@dataclass(frozen=True, slots=True)
class Ready:
    """Wait until the workers of *lane* are ready: `Done`."""

    lane: int
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Arm:
    """Read the counters of *lanes*, which are at rest and about to be opened: `Settled`."""

    lanes: list[int]
    kind: Literal["arm"] = "arm"


@dataclass(frozen=True, slots=True)
class Open:
    """Open the gates of *lanes*. There is no answer: the agent blocks until the next order."""

    lanes: list[int]
    open_s: float
    kind: Literal["open"] = "open"


@dataclass(frozen=True, slots=True)
class Close:
    """Close the gates of *lanes* and wait until all senders have parked: `Parked`."""

    lanes: list[int]
    kind: Literal["close"] = "close"


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until this host's parts of the lanes are at rest, having received *expected* bytes each since set-up: `Settled`."""

    expected: dict[int, int]
    kind: Literal["settle"] = "settle"


@dataclass(frozen=True, slots=True)
class ReadMachine:
    """Read the counters of the machine: `MachineRead`."""

    kind: Literal["read-machine"] = "read-machine"


@dataclass(frozen=True, slots=True)
class TakeSample:
    """Sample the processes of all lanes with psutil; they are at rest: `Sampled`."""

    kind: Literal["take-sample"] = "take-sample"


@dataclass(frozen=True, slots=True)
class Report:
    """Have the workers of *lane* report: `Reported`."""

    lane: int
    kind: Literal["report"] = "report"


@dataclass(frozen=True, slots=True)
class TearDown:
    """End this host's part of *lane*: `Done`. One that is not there is no error."""

    lane: int
    kind: Literal["tear-down"] = "tear-down"


@dataclass(frozen=True, slots=True)
class Quit:
    """End. There is no answer."""

    kind: Literal["quit"] = "quit"
