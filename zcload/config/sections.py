"""The sections of a config: every key with its default and its reference text."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from zcload.config.registries import mechanism_names, sink_names
from zcload.config.values import (
    ADDRESS,
    FLAG,
    RATE,
    TRANSFER_RATE,
    TRANSFER_SIZE,
    Swept,
    choice,
    duration,
    or_word,
    percent,
    registered,
    size,
    text,
    whole,
)
from zcload.model.study import Sizes

MOST_PROCESSES = 4096  # of either role in a lane: beyond it the scheduler is measured, and pids run out
# Characters that a name may not have: "#" marks zcload's own lanes, the others break a table, a line or a path.
STUDY_NAME = text(
    "a study name",
    r"[^\s./#\x00-\x1f\x7f][^/#\x00-\x1f\x7f]{0,47}",
    "heavy",
    expected="1 to 48 characters without '/' or '#', no '.' or space first",
)
VARIANT_NAME = text(
    "a variant name",
    r"[^\s#\x00-\x1f\x7f][^#\x00-\x1f\x7f]{0,63}",
    "sendfile-64k",
    expected="1 to 64 characters without '#', no space first",
)
MECHANISM = registered("mechanism", mechanism_names)
SINK = registered("sink", sink_names)
PATH = text(
    "a path", r"[^\x00]{1,4095}", "auto", "/srv/video.bin", expected="text such as '/srv/video.bin'"
)  # PATH_MAX is 4096 with the final zero
# One system call moves at most 0x7ffff000 bytes: NOTES of sendfile(2).
CHUNK = size("1B", "2147479552B")
FILE_SIZE = size("1B", "9223372036854775807B")
# Smaller ones the kernel raises by itself (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF), larger ones it cuts down to INT_MAX / 2 (sock_setsockopt).
SOCKET_BUFFER = size("4KiB", "1073741823B")


PROCESSES = whole(1, MOST_PROCESSES)
CONGESTION = text("a congestion control", "[A-Za-z0-9_-]{1,15}", "auto", "cubic", expected="'auto' or a name such as 'cubic'")
Item = TypeVar("Item")
Sweep = Annotated[list[Item], Swept()]


def key(default: Any, description: str) -> Any:
    """Declare a key with its *default*, as a user would write it, and its reference text."""
    return Field(default=default, description=description)


class Section(BaseModel):
    """A table of the config: unknown keys are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)


class StudySection(Section):
    """What is compared with what."""

    name: Annotated[str, STUDY_NAME] = Field(description="Name of the study; part of the name of the result directory.")
    baseline: Annotated[str, VARIANT_NAME] = Field(description="Name of the variant that the others are compared with.")
    variants: list[Annotated[str, MECHANISM]] = key([], "Short form: mechanisms with their defaults, each a variant of the same name.")
    schedule: Annotated[str, choice("alternate", "together")] = key(
        "alternate", "'alternate': one lane at a time; 'together': all lanes run at once and share the machine."
    )
    aa: Annotated[bool, FLAG] = key(
        False, "true: the baseline also runs as a second lane, '<baseline>#2', which shows what chance alone does."
    )
    best_chunk: Annotated[bool, FLAG] = key(True, "true: calibrate the baseline's best chunk and compare against it too.")


class WorkloadSection(Section):
    """What is sent and how, the same for every variant; any key may be a list, and the points are the product of the lists."""

    file: Sweep[Annotated[str | None, or_word("auto", PATH)]] = key(
        "auto", "'auto': zcload makes an incompressible file; or the path of yours."
    )
    file_size: Sweep[Annotated[int, FILE_SIZE]] = key("256MiB", "Size of the file that zcload makes; your own file has the size it has.")
    dir: Sweep[Annotated[str | None, or_word("auto", PATH)]] = key(
        "auto",
        "Where zcload makes the file. 'auto': in memory, unlinked, so that it vanishes with the run; a path: named, kept, reused.",
    )
    chunk: Sweep[Annotated[int, CHUNK]] = key("256KiB", "Bytes that a sender asks the kernel to move with one call.")
    receive_chunk: Sweep[Annotated[int, CHUNK]] = key("256KiB", "Bytes that a receiver asks for with one call.")
    senders: Sweep[Annotated[int, PROCESSES]] = key(1, "Sender processes of a lane, each with one connection.")
    receivers: Sweep[Annotated[int | str, or_word("per-sender", PROCESSES, stands_for="per-sender")]] = key(
        1, "Receiver processes of a lane; 'per-sender': one for each connection."
    )
    sink: Sweep[Annotated[str, SINK]] = key("recv", "How a receiver takes bytes off its sockets.")
    placement: Sweep[Annotated[str, choice("spread", "same", "free")]] = key(
        "spread", "CPUs of senders and receivers. 'spread': distinct cores; 'same': one CPU for both; 'free': the scheduler's choice."
    )
    cache: Sweep[Annotated[str, choice("warm", "cold")]] = key(
        "warm",
        "Whether the file is in the page cache when a window opens; verified. 'cold' needs a file on a disk.",
    )
    rate: Sweep[Annotated[int | None, RATE]] = key("max", "Total offered load of a lane, shared by its senders; 'max': as fast as it goes.")
    transfer: Sweep[Annotated[str, choice("stream", "per-file")]] = key(
        "stream", "'stream': the file over and over; 'per-file': many small files, each opened, sent and closed, with their latencies."
    )
    transfer_size: Sweep[Annotated[Sizes, TRANSFER_SIZE]] = key(
        "64KiB",
        "Size of the files: one; 'mix: 4KiB 4KiB 1MiB', each as likely as the next; or 'file: PATH', a text with a size a line. "
        "For transfer = 'per-file' only.",
    )
    connection: Sweep[Annotated[str, choice("persistent", "fresh")]] = key(
        "persistent",
        "'persistent': all files of a sender go over one connection; 'fresh': a new one for each, as HTTP/1.0 does. "
        "For transfer = 'per-file' only.",
    )
    arrivals: Sweep[Annotated[str, choice("closed", "constant", "poisson")]] = key(
        "closed",
        "'closed': a sender begins the next file when the receiver has said that it has the last; 'constant' and 'poisson': files are "
        "begun by a schedule of transfer_rate, whatever became of those before. For transfer = 'per-file' only.",
    )
    transfer_rate: Sweep[Annotated[float | None, TRANSFER_RATE]] = key(
        "max", "Files that a lane is to send in a second; needed where arrivals are 'constant' or 'poisson', and only there."
    )
    network: Sweep[Annotated[str, choice("loopback", "veth")]] = key(
        "loopback",
        "'loopback'; 'veth': two network namespaces with a virtual Ethernet pair, made for the run; needs root or user namespaces.",
    )
    mtu: Sweep[Annotated[int | None, or_word("auto", whole(68, 65535))]] = key(
        "auto", "MTU of the veth pair in bytes; 'auto': the kernel's, 1500. For network = 'veth' only."
    )
    offloads: Sweep[Annotated[bool, FLAG]] = key(
        True, "false: TSO, GSO and GRO of the veth pair are off, so that each packet is one MTU at most. For network = 'veth' only."
    )
    address: Sweep[Annotated[str, ADDRESS]] = key(
        "127.0.0.1",
        "Address at which the receivers listen: an IP address or a host name. Over veth a loopback address stands for one of zcload's.",
    )
    port: Sweep[Annotated[int, whole(0, 65535)]] = key(0, "TCP port of the receivers; 0: any free port.")
    socket_buffer: Sweep[Annotated[int | None, or_word("auto", SOCKET_BUFFER)]] = key(
        "1MiB", "SO_SNDBUF and SO_RCVBUF of every connection; 'auto': the kernel tunes them."
    )
    congestion: Sweep[Annotated[str, CONGESTION]] = key(
        "auto",
        "TCP congestion control. 'auto': cubic if permitted, else reno, else the system's with a caution; never bbr unless asked.",
    )


class StopSection(Section):
    """When a point has been measured enough."""

    target: Annotated[float, percent("0%", "100%")] = key(
        "3%", "Half-width of the headline metric's interval at which a variant has been measured enough."
    )
    margin: Annotated[float, percent("0%", "100%")] = key("3%", "Differences inside it count as none.")
    max_time: Annotated[float, duration("1ms", "8760h")] = key(
        "60s", "Longest time for the windows of one point; set-up, verification and calibration are extra."
    )
    min_generations: Annotated[int, whole(2, 10_000)] = key(
        6, "Fewest times that all lanes of a point are set up anew; an interval needs two."
    )
    replicates: Annotated[int, whole(1, 1000)] = key(
        6,
        "Fewest fresh processes that measure a point one after another, each with its own file and sockets; the interval is over them. "
        "1: everything in one process, and the interval leaves out what differs from run to run.",
    )
    window: Annotated[float | None, or_word("auto", duration("5ms", "60s"))] = key(
        "auto", "Length of a window; 'auto': chosen for the point and printed."
    )


class VariantSection(Section):
    """One contender in the long form; keys beyond these are its mechanism's own options, checked against the registry."""

    model_config = ConfigDict(extra="allow", validate_default=False)

    name: Annotated[str, VARIANT_NAME] = Field(description="Name of the variant in tables and results.")
    kind: Annotated[str, choice("mechanism", "server")] = key("mechanism", "'mechanism': zcload's own senders.")
    mechanism: Annotated[str, MECHANISM] = Field(description="How the variant's senders move the file to the socket.")
    chunk: Annotated[int | None, CHUNK] = key(None, "Instead of the workload's chunk.")
    sink: Annotated[str | None, SINK] = key(None, "Instead of the workload's sink.")
