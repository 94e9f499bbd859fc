"""The sections of a config: every key with its default and its reference text."""

from __future__ import annotations

import mmap
import os
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from zcload.config.registries import mechanism_names, origin_names, sink_names
from zcload.config.values import (
    ADDRESS,
    FLAG,
    RATE,
    TRANSFER_RATE,
    TRANSFER_SIZE,
    Kind,
    Swept,
    choice,
    duration,
    mechanism,
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
MECHANISM = mechanism(mechanism_names, files=False)
MECHANISM_OR_FILE = mechanism(mechanism_names, files=True)
SINK = registered("sink", sink_names)
ORIGIN = registered("mechanism", origin_names)
_PATH = text(
    "a path", r"[^\x00]{1,4095}", "auto", "/srv/video.bin", expected="text such as '/srv/video.bin'"
)  # PATH_MAX is 4096 with the final zero
PATH = Kind(lambda found: os.path.expanduser(_PATH.parse(found)), _PATH.schema)
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
        False, "true: the baseline also runs as a second lane, '<baseline>#2', which shows how much chance alone changes."
    )
    best_chunk: Annotated[bool, FLAG] = key(True, "true: find the baseline's best chunk and compare with it too.")


class WorkloadSection(Section):
    """What is sent and how, the same for every variant; any key may be a list, and the points are the product of the lists."""

    file: Sweep[Annotated[str | None, or_word("auto", PATH)]] = key(
        "auto", "'auto': zcload makes an incompressible file; or the path of your file."
    )
    file_size: Sweep[Annotated[int, FILE_SIZE]] = key("256MiB", "Size of the file that zcload makes; ignored for your own file.")
    dir: Sweep[Annotated[str | None, or_word("auto", PATH)]] = key(
        "auto",
        "Where zcload makes the file. 'auto': in memory, removed with the run; a path: in this directory, kept and reused.",
    )
    file_pages: Sweep[Annotated[str, choice("auto", "huge", "small")]] = key(
        "auto",
        "Pages of the made file in memory. 'auto': huge pages where this kernel has them, which cost what a file on a disk costs; "
        "'huge': an error where it has none; 'small': as the kernel gives them, which differ from run to run.",
    )
    chunk: Sweep[Annotated[int, CHUNK]] = key("256KiB", "Bytes that a sender moves with one call.")
    receive_chunk: Sweep[Annotated[int, CHUNK]] = key("256KiB", "Bytes that a receiver reads with one call.")
    receive_buffer_offset: Sweep[Annotated[int, whole(0, mmap.PAGESIZE - 1)]] = key(
        0, "Where in a page a receiver's buffer begins, in bytes; other than 0 only to learn what that costs."
    )
    senders: Sweep[Annotated[int, PROCESSES]] = key(1, "Sender processes of a lane, each with one connection.")
    receivers: Sweep[Annotated[int | str, or_word("per-sender", PROCESSES, stands_for="per-sender")]] = key(
        1, "Receiver processes of a lane; 'per-sender': one for each connection."
    )
    sink: Sweep[Annotated[str, SINK]] = key("recv", "How a receiver takes bytes off its sockets.")
    origin: Sweep[Annotated[str, ORIGIN]] = key(
        "sendfile", "How the senders of a relay move the file, the same in all lanes. For relays (relay_read_send, relay_splice) only."
    )
    placement: Sweep[Annotated[str, choice("auto", "spread", "same", "free")]] = key(
        "spread",
        "CPUs of senders and receivers. 'spread': distinct cores; 'same': one CPU for both; 'free': the scheduler's choice; "
        "'auto', also where the key is missing: 'spread' where zcload may use two CPUs, else 'same'.",
    )
    cache: Sweep[Annotated[str, choice("warm", "cold")]] = key(
        "warm",
        "Whether the file is in the page cache when a window opens; zcload verifies it. 'cold' needs a file on a disk.",
    )
    rate: Sweep[Annotated[int | None, RATE]] = key(
        "max", "Total offered load of a lane, shared by its senders; 'max': as fast as possible."
    )
    transfer: Sweep[Annotated[str, choice("stream", "per-file")]] = key(
        "stream", "'stream': the file over and over; 'per-file': many small files, each opened, sent and closed, with latencies."
    )
    transfer_size: Sweep[Annotated[Sizes, TRANSFER_SIZE]] = key(
        "64KiB",
        "Size of the files: one; 'mix: 4KiB 4KiB 1MiB', each equally likely; or 'file: PATH', a text file with a size a line. "
        "For transfer = 'per-file' only.",
    )
    connection: Sweep[Annotated[str, choice("persistent", "fresh")]] = key(
        "persistent",
        "'persistent': all files of a sender go over one connection; 'fresh': a new one for each, as HTTP/1.0 does. "
        "For transfer = 'per-file' only.",
    )
    header_bytes: Sweep[Annotated[int, whole(0, 65536)]] = key(
        0, "Bytes of a header that goes before each file, as a server's does; 0: none. For transfer = 'per-file' only."
    )
    arrivals: Sweep[Annotated[str, choice("closed", "constant", "poisson")]] = key(
        "closed",
        "'closed': a sender begins the next file when the receiver has acknowledged the last; 'constant' and 'poisson': files "
        "begin on a schedule of transfer_rate, even if earlier ones are not done. For transfer = 'per-file' only.",
    )
    transfer_rate: Sweep[Annotated[float | None, TRANSFER_RATE]] = key(
        "max", "Files that a lane sends per second; required for arrivals = 'constant' or 'poisson', only for these."
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
    gso_max_size: Sweep[Annotated[int | None, or_word("auto", size("4KiB", "524280B"))]] = key(
        "auto",
        "Largest packet before segmentation, of the veth pair; above 64 KiB it is BIG TCP (Linux 6.3 for IPv4, 5.19 for IPv6); 'auto': the "
        "kernel's, 64 KiB. For network = 'veth' only: loopback's would be the whole host's, and zcload does not change it.",
    )
    address: Sweep[Annotated[str, ADDRESS]] = key(
        "127.0.0.1",
        "Address at which the receivers listen: an IP address or a host name. Over veth a loopback address means one that zcload picks.",
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
        "3%", "Stop measuring a variant when the half-width of its headline interval is this small."
    )
    margin: Annotated[float, percent("0%", "100%")] = key("3%", "Treat smaller differences as no difference.")
    max_time: Annotated[float, duration("1ms", "8760h")] = key(
        "60s", "Measure the windows of one point at most this long; set-up, verification and calibration are extra."
    )
    min_generations: Annotated[int, whole(2, 10_000)] = key(6, "Set up all lanes of a point at least this often; an interval needs 2.")
    replicates: Annotated[int, whole(1, 1000)] = key(
        6,
        "Fewest fresh processes that measure a point one after another, each with its own file and sockets; the interval is over them. "
        "1: everything in one process, and the interval leaves out what differs from run to run.",
    )
    window: Annotated[float | None, or_word("auto", duration("5ms", "60s"))] = key(
        "auto", "Length of a window; 'auto': zcload chooses and prints it."
    )


class VariantSection(Section):
    """One contender in the long form; keys beyond these are its mechanism's own options, checked against the registry."""

    model_config = ConfigDict(extra="allow", validate_default=False)

    name: Annotated[str, VARIANT_NAME] = Field(description="Name of the variant in tables and results.")
    kind: Annotated[str, choice("mechanism", "server")] = key("mechanism", "'mechanism': zcload's own senders.")
    mechanism: Annotated[str, MECHANISM_OR_FILE] = Field(
        description="How the variant's senders move the file to the socket: a name, or a class of your own, 'my_send.py:MySend'."
    )
    chunk: Annotated[int | None, CHUNK] = key(None, "Instead of the workload's chunk.")
    sink: Annotated[str | None, SINK] = key(None, "Instead of the workload's sink.")
    header: Annotated[str | None, choice("writev", "more", "cork", "plain")] = key(
        None,
        "How the header of header_bytes goes before a file. 'writev': in one call with its first bytes; 'more': send with MSG_MORE; "
        "'cork': between two settings of TCP_CORK; 'plain': send, without a hint that more follows. Left out: the mechanism's usual way.",
    )
