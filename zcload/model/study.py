"""The frozen records of what is asked: Study, Point, Variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from zcload.errors import Problem
from zcload.model.cluster import Cluster

PER_SENDER = "per-sender"
SERVER = "server"  # what stands for the mechanism of a server under test: which one it is, only the server knows
USUAL_REQUEST = 4 << 20  # bytes: so large that what a request costs by itself is little beside them
AA_SUFFIX = "#2"  # the baseline's second lane in an A/A study is "<baseline>#2"


@dataclass(frozen=True, slots=True)
class Server:
    """A real server under test: a *command* to start it with, or *attach*, the pid of one that runs. Texts may hold placeholders.

    *environment* has variables with their texts, *passed_on* the names of those that zcload must have itself.
    *port* 0 is any free one; *request_bytes* of None asks for whole files, 0 for what suits the point; *files* are written into the
    server's own directory.
    """

    command: tuple[str, ...] = ()
    attach: int | None = None
    port: int = 0
    path: str = "/{name}"
    ready_s: float = 10.0
    request_bytes: int | None = 0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    passed_on: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    grace_s: float = 5.0
    tls: bool = False  # whether it speaks https, with a certificate made for the start
    http2: bool = False  # whether it is asked over HTTP/2
    http2_window_bytes: int = 16 << 20  # of the receivers' flow control, for each stream and each connection
    check: tuple[str, ...] = ()  # a command that ends with status 0 where the server can run
    install: str | None = None  # how to get the program, for whoever does not have it

    def asked_bytes(self, point: Point) -> int:
        """Return how many bytes of the file one request is for at *point*; at a rate a chunk, so that all lanes wake up alike."""
        if self.request_bytes is None:
            return point.file_size
        return min(self.request_bytes or (point.chunk if point.paced else USUAL_REQUEST), point.file_size)


@dataclass(frozen=True, slots=True)
class Variant:
    """One named contender: a mechanism with its options, or a *server*. *chunk* (bytes) and *sink* of None mean the point's own.

    *over* names the variant that a server does the same work as: what it costs more is what being a server adds.
    """

    name: str
    mechanism: str
    chunk: int | None = None
    sink: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    aa: bool = False
    server: Server | None = None
    over: str | None = None
    header: str | None = None  # how a header goes before a small file: one of the mechanism's ways; None: its first

    def at(self, point: Point) -> Contender:
        """Return the variant at *point*: the one place where what it leaves open becomes the point's."""
        chunk = self.chunk or point.chunk
        return Contender(
            name=self.name,
            mechanism=self.mechanism,
            chunk=chunk,
            sink=self.sink or point.sink,
            burst_bytes=self.server.asked_bytes(point) if self.server else chunk,
            options=self.options,
            aa=self.aa,
            server=self.server,
            over=self.over,
            header=self.header,
        )


@dataclass(frozen=True, slots=True)
class Contender:
    """A variant at a point, with nothing left open: what one lane runs. Made by `Variant.at`.

    *chunk* and *burst_bytes* are bytes; a burst is what one wake-up moves at a rate: a chunk, or what a server is asked for at once.
    """

    name: str
    mechanism: str
    chunk: int
    sink: str
    burst_bytes: int
    options: Mapping[str, Any]
    aa: bool
    server: Server | None
    over: str | None
    header: str | None = None


def origin_of(relay: Contender, point: Point) -> Contender:
    """Return what sends to *relay* at *point*: the same in all lanes, whatever the relay's own chunk and options; raises ValueError."""
    if point.origin is None:
        raise ValueError("nothing sends to a relay at this point")
    return replace(relay, mechanism=point.origin, chunk=point.chunk, burst_bytes=point.chunk, options={})


PlacementKey = Literal["auto", "spread", "same", "free"]  # as in a config; a study that runs has no "auto" left


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of files in bytes, each as likely as the next: one, or several, or those of *path*, which are read before the run."""

    values: tuple[int, ...]
    path: str | None = None


FilePages = Literal["auto", "huge", "small"]  # auto: huge where this kernel has them; small: as the kernel gives them


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of the workload values: sizes in bytes, rates in bit/s of the whole lane, None where a value is automatic."""

    file: str | None = None  # None: zcload makes an incompressible file of file_size
    file_size: int = 256 << 20
    dir: str | None = None  # None: an unlinked file in memory
    file_pages: FilePages = "auto"  # of a made file in memory
    chunk: int = 256 << 10
    receive_chunk: int = 256 << 10
    receive_buffer_offset: int = 0  # bytes into a page
    senders: int = 1
    receivers: int | Literal["per-sender"] = 1
    sink: str = "recv"
    origin: str | None = None  # the mechanism that sends to relays; None: no relay is between senders and receivers
    placement: PlacementKey = "auto"
    cache: Literal["warm", "cold"] = "warm"
    rate_bps: float | None = None  # None: max
    transfer: Literal["stream", "per-file"] = "stream"
    transfer_size: Sizes | None = None  # None: streams have no size
    connection: Literal["persistent", "fresh"] = "persistent"
    header_bytes: int = 0  # of what goes before each small file; 0: nothing
    arrivals: Literal["closed", "constant", "poisson"] = "closed"
    transfers_per_s: float | None = None  # of the whole lane; None: as many as a closed loop makes
    network: Literal["loopback", "veth"] = "loopback"
    mtu: int | None = None  # of the veth pair in bytes; None: the kernel's default
    offloads: bool = True  # of the veth pair: segmentation left to the device
    gso_max_size: int | None = None  # of the veth pair: the largest packet in bytes before segmentation; None: the kernel's default
    address: str = "127.0.0.1"
    port: int = 0
    socket_buffer: int | None = 1 << 20  # None: the kernel tunes it
    congestion: str = "auto"

    @property
    def paced(self) -> bool:
        """Say whether the senders of a stream keep to a rate."""
        return self.rate_bps is not None and self.transfer == "stream"

    @property
    def file_identity(self) -> tuple[str | None, int, str | None, str]:
        """What tells the file of this point from the files of other points."""
        return (self.file, self.file_size, self.dir, self.file_pages)

    @property
    def relays(self) -> int:
        """How many relay processes a lane has at this point: one for each connection, or none."""
        return self.senders if self.origin else 0

    @property
    def receiver_count(self) -> int:
        """How many receiver processes a lane has at this point; never more than it has connections."""
        return self.senders if self.receivers == PER_SENDER else min(int(self.receivers), self.senders)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the point's transfers in bytes; none for a stream, or before a file of sizes has been read."""
        return self.transfer_size.values if self.transfer_size else ()


@dataclass(frozen=True, slots=True)
class Stop:
    """When a point has been measured enough: *target* and *margin* are fractions (0.03 is 3 %), times are seconds."""

    target: float = 0.03
    margin: float = 0.03
    max_time_s: float = 60.0
    min_generations: int = 6
    window_s: float | None = None  # None: chosen for the point and printed
    replicates: int = 6  # the least number of fresh processes that measure one after another; 1: the run's own process measures


@dataclass(frozen=True, slots=True)
class Crossover:
    """A search along the workload key *sweep* for where *contender* starts to beat the baseline; the points are the values to look at.

    *precision* is a fraction: the interval's upper end may be so much above the lower.
    """

    sweep: str
    contender: str
    precision: float = 0.5
    max_time_s: float = 240.0


@dataclass(frozen=True, slots=True)
class Study:
    """A config file, checked and resolved: variants x points, a baseline, a stopping rule."""

    name: str
    baseline: str
    variants: tuple[Variant, ...]
    points: tuple[Point, ...]
    stop: Stop = Stop()
    schedule: Literal["alternate", "together"] = "alternate"
    aa: bool = False
    best_chunk: bool = True
    crossover: Crossover | None = None
    swept: tuple[str, ...] = ()  # the workload keys that were lists, in the config's order
    cluster: Cluster | None = None  # None: one machine, this one
    config: Mapping[str, Any] = field(default_factory=dict)  # effective values as text that a config file accepts
    too_short: Problem | None = field(default=None, compare=False)  # what is wrong with the time limit: refused before measuring

    @property
    def serves(self) -> bool:
        """Say whether a real server is among the variants: its sockets are not zcload's to set, so those of all lanes are left alone."""
        return any(variant.server is not None for variant in self.variants)

    @property
    def relays(self) -> bool:
        """Say whether relays are compared: then all variants are relays."""
        return any(point.origin is not None for point in self.points)

    def contenders(self, point: Point) -> tuple[Contender, ...]:
        """Return the variants at *point*."""
        return tuple(variant.at(point) for variant in self.variants)

    def variant(self, name: str) -> Variant:
        """Return the variant called *name*; raises KeyError."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)
