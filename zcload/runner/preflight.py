"""Check before anything is forked whether this host can run the study, and which variants it must skip."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from zcload.errors import ConfigError, MechanismUnavailableError, Problem, reason_of
from zcload.host.machine import Machine
from zcload.host.topology import Core, read_cores
from zcload.lane.connections import choose_congestion, listen
from zcload.lane.network import open_network
from zcload.lane.payload import MEMORY_RESERVE, available_memory, check_own, check_room, required_memory
from zcload.lane.placement import choose_placement, place
from zcload.lane.small_files.transfer_plan import longest_window_s
from zcload.linux.descriptors import most_open_files
from zcload.linux.pagecache import memory_file_system
from zcload.mechanisms import BUILT_IN, Mechanism, check_transfer, mechanism_called, mechanism_of
from zcload.mechanisms.making import probe_senders
from zcload.model.cautions import Caution, caution
from zcload.model.sizes import read_sizes
from zcload.model.study import Contender, Point, Study
from zcload.model.timing import SHORTEST_S
from zcload.model.units import ValueRefused, format_frequency, format_size, human_bytes, human_duration
from zcload.runner.calibrate import lanes_at_once
from zcload.runner.needs import enough_bytes, open_files
from zcload.server.availability import missing
from zcload.server.root import check_room as check_root
from zcload.server.root import room_for_files
from zcload.server.serving import check_port
from zcload.sinks import SINKS

_PROCESS_BYTES = 12 << 20  # private memory of a forked worker, beside its buffers


def resolve(study: Study) -> Study:
    """Return *study* with the sizes of the user's own files and the placement that "auto" means here.

    Raises ConfigError if a file cannot be sent, or if the time is too short.
    """
    if study.too_short is not None:
        raise ConfigError(study.too_short)
    cores = read_cores() if any(point.placement == "auto" for point in study.points) else ()
    # Two placements of a sweep may come to be one, whose point comes once.
    return replace(study, points=tuple(dict.fromkeys(_resolved(point, cores) for point in study.points)))


def _resolved(point: Point, cores: Sequence[Core]) -> Point:
    point = replace(point, placement=choose_placement(point.placement, cores))
    if point.file is not None:
        point = replace(point, file_size=check_own(point.file))
    if point.transfer_size is None:
        return point
    sizes = read_sizes(point.transfer_size)
    if max(sizes.values) > point.file_size:
        raise ConfigError(
            Problem(
                f"a transfer of {format_size(max(sizes.values))} is more than the file of {format_size(point.file_size)}",
                key="workload.transfer_size",
                remedy="a larger file_size: the small files are parts of that one, laid side by side",
            )
        )
    return replace(point, transfer_size=sizes)


def check_host(study: Study, cores: tuple[Core, ...]) -> None:
    """Raise ConfigError if a network, an address, a port, a placement, a cold file, an environment variable
    or the memory for the made files is unavailable.
    """
    import random

    _check_proc()
    _check_environment(study)
    for point in study.points:
        congestion = None if study.serves else choose_congestion(point.congestion)[0]
        with closing(open_network(point)) as network:
            listen(point, congestion, 1, network).close()
            for variant in study.variants:
                if variant.server is not None:
                    check_port(variant.server, network)
        place(point.placement, point.senders, point.receiver_count, cores, random.Random(0), point.relays)
        _check_arrivals(study, point)
        _check_cold(point)
    check_room(study.points)
    if study.serves:
        large = {p.file_identity: required_memory(p) for p in study.points}
        small = {(p.file_identity, p.sizes): room_for_files(p) for p in study.points}
        check_root(sum(large.values()) + sum(small.values()))
    most, needed = most_open_files(), open_files(study)
    if most is not None and needed > most:
        what = f"{lanes_at_once(study)} lanes at once need {needed} open files, and {most} are allowed"
        raise ConfigError(Problem(what, key="workload.senders", remedy="fewer senders or variants, or a higher hard limit (`ulimit -Hn`)"))


def _check_proc() -> None:
    """Raise ConfigError if the machine's counters cannot be read."""
    try:
        Machine().close()
    except OSError as error:
        what = f"cannot read the CPU time of the machine: /proc/stat: {reason_of(error)}; is /proc mounted with subset=pid?"
        raise ConfigError(Problem(what, remedy="mount -o remount,subset= /proc, or start the container without ProcSubset=pid")) from None


def _check_environment(study: Study) -> None:
    """Raise ConfigError if a server is to get variables from zcload's environment that are not there."""
    problems = []
    for variant in study.variants:
        names = [name for name in variant.server.passed_on if name not in os.environ] if variant.server else []
        if names:
            what = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set: results keep names of variables, not values"
            remedy = f"export {' '.join(f'{shlex.quote(name)}=...' for name in names)}"
            problems.append(Problem(what, key=f"variant[{variant.name}].environment", remedy=remedy))
    if problems:
        raise ConfigError(*problems)


def _check_arrivals(study: Study, point: Point) -> None:
    """Raise ConfigError if more small files are due in a window than a lane can keep the latencies of."""
    longest = longest_window_s(point)
    if (study.stop.window_s or SHORTEST_S) > longest:
        raise ConfigError(
            Problem(
                f"a window of {human_duration(study.stop.window_s or SHORTEST_S)} has more arrivals than a lane keeps latencies of: "
                f"at {format_frequency(point.transfers_per_s)} expected at most {human_duration(longest)}",
                key="stop.window" if study.stop.window_s else "workload.transfer_rate",
                remedy="a shorter window or a lower rate",
            )
        )


def _check_cold(point: Point) -> None:
    """Raise ConfigError if the file is to be cold and its file system is memory."""
    wanted = Path(point.file or point.dir or "").absolute()
    if point.cache != "cold":
        return
    there = next(path for path in (wanted, *wanted.parents) if path.exists())
    name = memory_file_system(str(there))
    if name:
        what = f"{wanted} is on {name}, which keeps files in memory: it cannot be cold"
        raise ConfigError(
            Problem(what, key="workload.file" if point.file else "workload.dir", remedy='a directory on a disk, or cache = "warm"')
        )


def unavailable(study: Study, point: Point) -> dict[str, MechanismUnavailableError]:
    """Return the variants that this host cannot run at *point*, each with the reason."""
    found = {}
    for variant in study.contenders(point):
        error = _probe(variant, point)
        if error is not None:
            found[variant.name] = error
    return found


def _probe(variant: Contender, point: Point) -> MechanismUnavailableError | None:
    mechanism, sink = mechanism_of(variant), SINKS[variant.sink]
    if variant.server is not None and (absent := missing(variant.name, variant.server)) is not None:
        return absent
    origin = [mechanism_called(point.origin)] if point.origin else []
    probed = [(mechanism.name, mechanism.probe() or mechanism.probe_options(variant.options)), (sink.name, sink.probe())]
    for name, why in [*probed, *((each.name, each.probe()) for each in origin)]:
        if why is not None:
            return MechanismUnavailableError(name, why.reason, why.remedy)
    if mechanism.encrypts and not sink.takes_tls:
        return MechanismUnavailableError(sink.name, f"it cannot decrypt what {mechanism.name} sends", 'use sink = "recv"')
    if mechanism not in BUILT_IN and variant.server is None:
        _check_contract(mechanism, variant)
    if variant.server is None and (short := probe_senders(mechanism, point.senders, point.file_size, variant.chunk, variant.options)):
        return MechanismUnavailableError(mechanism.name, short.reason, short.remedy)
    if point.connection == "fresh" and not mechanism.reconnects:
        return MechanismUnavailableError(mechanism.name, "its connections are set up beforehand", "connection = 'persistent'")
    need = point.senders * (mechanism.private_bytes(point.file_size, variant.chunk) + _PROCESS_BYTES)
    need += point.receiver_count * (sink.private_bytes(point.receive_chunk) + _PROCESS_BYTES)
    need += sum(point.senders * (each.private_bytes(point.file_size, point.chunk) + _PROCESS_BYTES) for each in origin)
    room = available_memory() - MEMORY_RESERVE - required_memory(point)
    if need > room:
        return MechanismUnavailableError(
            variant.mechanism,
            f"{point.senders} senders need {human_bytes(need)} of memory of their own, their receivers included, "
            f"and {human_bytes(max(room, 0))} can be used",
            "fewer senders and receivers, or a smaller file_size",
        )
    return None


def _check_contract(mechanism: type[Mechanism], variant: Contender) -> None:
    """Raise ConfigError if a test transfer shows that a mechanism which is not zcload's own breaks the contract."""
    try:
        check_transfer(mechanism, variant.options)
    except ValueRefused as refused:
        raise ConfigError(Problem(refused.what, key=f"variant[{variant.name}].mechanism", remedy=refused.remedy)) from None


def require(study: Study, out: dict[str, MechanismUnavailableError], strict: bool) -> None:
    """Raise MechanismUnavailableError if what is *out* leaves no study: the baseline, every other variant, or with *strict* any at all."""
    left = [v for v in study.variants if v.name not in out and v.name != study.baseline and not v.aa]
    if study.baseline in out:
        error = out[study.baseline]
        raise MechanismUnavailableError(f"the baseline {study.baseline}", error.reason, error.remedy)
    if out and (strict or not left):
        name, error = next(iter(out.items()))
        what = f"{name} cannot run here" if strict else "no variant but the baseline can run here"
        raise MechanismUnavailableError(what, error.reason, error.remedy)


def cautions(study: Study, environment: Mapping[str, Any]) -> list[Caution]:
    """Return the cautions that the config causes on a host of this *environment*."""
    found = []
    cache_bytes = environment.get("last_level_cache_bytes")
    small = min(point.file_size for point in study.points)
    if cache_bytes and small < enough_bytes(cache_bytes):
        found.append(
            caution(
                "small_file",
                size=human_bytes(small),
                cache=human_bytes(cache_bytes),
                mebibytes=-(-enough_bytes(cache_bytes) >> 20),
            )
        )
    if len(environment.get("cpus_allowed") or ()) == 1 and any(point.placement == "same" for point in study.points):
        found.append(caution("one_cpu"))
    machine = environment.get("virtualisation")
    if any(point.cache == "cold" for point in study.points) and machine not in (None, "none"):
        found.append(caution("host_cache", machine=machine))
    default = environment.get("congestion_default")
    if study.serves and default not in (None, "cubic", "reno"):
        found.append(caution("congestion:servers", system=default))
    for point in () if study.serves else study.points:
        wanted, system = choose_congestion(point.congestion)
        if wanted is None:
            found.append(caution("congestion", system=system))
            break
    return found
