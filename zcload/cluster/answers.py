"""What an agent answers to the orders of the coordinator. Times named _ns are CLOCK_MONOTONIC of its host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

MachineCounters = list[int]  # as MachineReading.as_list()


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to `Ping`."""

    t_ns: int
    kind: Literal["pong"] = "pong"


@dataclass(frozen=True, slots=True)
class Described:
    """What a host is. *machine* is the same for hosts that share a kernel; *nic* is None for the loopback device.

    *parent* and *parent_name* are the process that started the agent: the engine's on this host.
    """

    address: str
    environment: dict[str, Any]
    cautions: list[dict[str, str]]
    machine: str
    cpus: list[int]
    parent: int
    nic: dict[str, Any] | None
    kind: Literal["described"] = "described"


@dataclass(frozen=True, slots=True)
class CannotRun:
    """Why a host cannot run a variant."""

    variant: str
    name: str
    reason: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Probed:
    """The answer to `Probe`."""

    unavailable: list[CannotRun]
    kind: Literal["probed"] = "probed"


@dataclass(frozen=True, slots=True)
class FileOpened:
    """A file that is ready to be sent."""

    size: int
    digest: str
    kind: Literal["file-opened"] = "file-opened"


@dataclass(frozen=True, slots=True)
class Listening:
    """The address and port at which a host listens for a lane's connections."""

    address: str
    port: int
    kind: Literal["listening"] = "listening"


@dataclass(frozen=True, slots=True)
class LaneUp:
    """A host's part of a lane. *cpus* are the CPU sets of its senders, then of its receivers; *refused* connections had no secret."""

    cpus: list[list[int]]
    cautions: list[dict[str, str]]
    refused: int
    kind: Literal["lane-up"] = "lane-up"


@dataclass(frozen=True, slots=True)
class Verified:
    """*sent* are the SHA-256 of the shares that this host sent, *received* those of what arrived, both by connection."""

    sent: dict[int, str]
    received: dict[int, str]
    bytes_received: int
    kind: Literal["verified"] = "verified"


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of a host's part of a lane at rest: of each process [cpu_ns, bytes, iterations, system calls by kind...].

    *opened_ns* is when this host's gates opened last, *last_byte_ns* when one of its receivers last took bytes (0: none did).
    """

    senders: list[list[int]]
    receivers: list[list[int]]
    opened_ns: int
    closed_ns: int
    last_byte_ns: int
    rest_ns: int
    measured: list[list[int]]
    areas: list[list[int]]


@dataclass(frozen=True, slots=True)
class HostCounters:
    """The counters of a host: its machine; CPU time and context switches of the agent and of the engine's process."""

    machine: MachineCounters
    agent_ns: int
    agent_switches: int
    engine_ns: int
    engine_switches: int


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the agent and the engine's process used between the gates' opening and closing: CPU time (ns) and context switches."""

    agent_ns: int
    agent_switches: int
    engine_ns: int
    engine_switches: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to `Arm` and `Settle`: the counters of each lane's part, and of the host."""

    lanes: dict[int, Counted]
    host: HostCounters
    kind: Literal["settled"] = "settled"


@dataclass(frozen=True, slots=True)
class Parked:
    """All senders of a host have parked: how many bytes each has sent since set-up, by lane."""

    sent: dict[int, list[int]]
    overhead: Overhead
    kind: Literal["parked"] = "parked"


@dataclass(frozen=True, slots=True)
class MachineRead:
    """The counters of a host between windows."""

    host: HostCounters
    kind: Literal["machine-read"] = "machine-read"


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sample, as `Sampler` takes it, of this host's parts of the lanes; what sampling has cost so far."""

    sample: dict[str, Any]
    cost_ns: int
    kind: Literal["sampled"] = "sampled"


@dataclass(frozen=True, slots=True)
class Reported:
    """The reports of a part's senders, and TCP_INFO of the connections that its receivers take."""

    senders: list[dict[str, Any]]
    kind: Literal["reported"] = "reported"


@dataclass(frozen=True, slots=True)
class Done:
    """An order that asks for nothing was carried out."""

    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True)
class Failed:
    """An order could not be carried out. *lane* is what failed; None: the host as a whole.

    *problem* is what ConfigError holds, for a key of the config that is wrong on this host.
    """

    message: str
    lane: int | None = None
    key: str | None = None
    remedy: str | None = None
    consequence: bool = False
    kind: Literal["failed"] = "failed"
