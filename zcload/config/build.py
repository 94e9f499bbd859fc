"""Build a Study from a parsed config, or raise one ConfigError with every problem, its file and its line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zcload.config.check import check
from zcload.config.checks.time_check import find_short_limit
from zcload.config.cluster_section import as_cluster
from zcload.config.crossover import as_search, with_values
from zcload.config.finding import Finding, Path, dotted
from zcload.config.overrides import ORIGIN, Overlaid, overlay
from zcload.config.registries import relay_names
from zcload.config.resolved import Resolved
from zcload.config.root import Config
from zcload.config.sections import VariantSection
from zcload.config.server_section import ServerSection
from zcload.config.source import ConfigSource, Lines
from zcload.errors import ConfigError, Problem
from zcload.model.study import AA_SUFFIX, SERVER, Point, Server, Stop, Study, Variant


def build(source: ConfigSource, overrides: Sequence[str]) -> Study:
    """Check *source* with *overrides* laid over it and resolve it; raises ConfigError with all problems, those of the file first."""
    overlaid = overlay(source.tree, overrides)
    config, findings = check(overlaid.tree)
    if config is None or findings or overlaid.problems:
        problems = _located(findings, source, overlaid) + overlaid.problems
        given_by = {ORIGIN, *overlaid.options.values()}
        raise ConfigError(*sorted(dict.fromkeys(problems), key=lambda problem: (problem.file in given_by, problem.line or 0)))
    study = _study(config, overlaid.tree.get("workload", {}))
    short = find_short_limit(study, Resolved(overlaid.tree))
    # Not an error yet: whoever reads a config to change its limit must be able to.
    return study if short is None else replace(study, too_short=_as_typed(_located([short], source, overlaid)[0]))


def _as_typed(problem: Problem) -> Problem:
    """Return *problem* with the remedy for a time limit written as the option that has set it, if one has."""
    if problem.remedy is None or problem.file not in ("--time", "--max-time"):
        return problem
    return replace(problem, remedy=re.sub(r'max_time = "([^"]+)"', rf"{problem.file} \1", problem.remedy))


def _study(config: Config, given: Mapping[str, Any]) -> Study:
    if config.crossover is None:
        return _resolve(config, given)
    workload, values = with_values(config.crossover, config.workload, given)
    return as_search(config.crossover, _resolve(config.model_copy(update={"workload": workload}), values), given)


def _located(findings: list[Finding], source: ConfigSource, overlaid: Overlaid) -> list[Problem]:
    lines: Lines = {}
    try:
        lines = source.find_lines()
    # The parser of lines is another one than that of values; where it gives up, a problem without its line is better than none.
    except (RecursionError, ValueError):
        pass
    problems = []
    for finding in findings:
        option = _option(finding.path, source.tree, overlaid.options)
        problems.append(
            Problem(
                finding.what,
                key=dotted(finding.path, overlaid.tree) if option in (None, ORIGIN) else None,
                file=option or source.name,
                line=None if option else _line(finding.path, lines),
                remedy=finding.remedy,
            )
        )
    return problems


def _option(path: Path, tree: Any, options: Mapping[Path, str]) -> str | None:
    """Return the option that the value at *path* comes from: which set it, or what it is part of, or made to hold it; or None."""
    for changed, option in options.items():
        if path[: len(changed)] == changed:
            return option
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return next((option for changed, option in options.items() if changed[: len(path)] == path), None)
        tree = tree[part]
    return None


def _line(path: Path, lines: Lines) -> int | None:
    """Return the line of *path* or of the nearest thing around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _resolve(config: Config, given: Mapping[str, Any]) -> Study:
    values = {
        key: getattr(config.workload, key) for key in (*given, *(key for key in type(config.workload).model_fields if key not in given))
    }
    swept = tuple(key for key, value in given.items() if isinstance(value, list))
    written = config.tree()
    # The user's order of keys is kept, because it is the order in which the points are run.
    written["workload"] = {key: written["workload"][key] if key in swept else written["workload"][key][0] for key in values}
    variants = [Variant(name, name) for name in config.study.variants] + [_variant(section) for section in config.variant]
    if any(variant.server for variant in variants):  # a foreign server's sockets are not ours to set, so no lane's are set
        values["socket_buffer"], written["workload"]["socket_buffer"] = [None], "auto"
    if not any(variant.mechanism in relay_names() for variant in variants):
        values["origin"] = [None]  # no relay for it to send to
    if "placement" not in given:  # the default must not be an error on a host with one CPU
        values["placement"], written["workload"]["placement"] = ["auto"], "auto"
    # Loopback has no MTU of its own and a stream no arrivals: where those are swept over veth or files, its points come once.
    combinations = itertools.product(*values.values())
    points = tuple(dict.fromkeys(_point(dict(zip(values, combination, strict=True))) for combination in combinations))
    study = written["study"]
    written["variant"] = [{"name": name, "mechanism": name} for name in study.pop("variants")] + written["variant"]
    return Study(
        name=config.study.name,
        baseline=config.study.baseline,
        variants=tuple(_with_second_lane(variants, config.study.baseline) if config.study.aa else variants),
        points=points,
        stop=Stop(
            target=config.stop.target,
            margin=config.stop.margin,
            max_time_s=config.stop.max_time,
            min_generations=config.stop.min_generations,
            replicates=config.stop.replicates,
            window_s=config.stop.window,
        ),
        schedule="together" if config.study.schedule == "together" else "alternate",
        aa=config.study.aa,
        # Of small files a chunk is mostly all: there is no best one to look for.
        best_chunk=config.study.best_chunk and any(point.transfer == "stream" for point in points),
        cluster=None if config.cluster is None else as_cluster(config.cluster),
        swept=swept,
        config=written,
    )


def _variant(section: VariantSection | ServerSection) -> Variant:
    if isinstance(section, VariantSection):
        return Variant(section.name, section.mechanism, section.chunk, section.sink, dict(section.model_extra or {}), header=section.header)
    server = Server(
        command=tuple(section.command),
        attach=section.attach,
        port=section.port,
        path=section.path,
        ready_s=section.ready_time,
        request_bytes=section.request_size,
        environment={name: value for name, value in section.environment.items() if isinstance(value, str)},
        passed_on=tuple(name for name, value in section.environment.items() if value is True),
        files=section.files,
        stop_signal=section.stop_signal,
        grace_s=section.grace,
        tls=section.tls,
        http2=section.http2,
        http2_window_bytes=section.http2_window,
        check=tuple(section.check),
        install=section.install,
    )
    return Variant(section.name, SERVER, sink=section.sink, server=server, over=section.over)


def _with_second_lane(variants: list[Variant], baseline: str) -> Iterator[Variant]:
    for variant in variants:
        yield variant
        if variant.name == baseline:
            yield replace(variant, name=baseline + AA_SUFFIX, aa=True)


def _point(values: dict[str, Any]) -> Point:
    point = Point(rate_bps=values.pop("rate"), transfers_per_s=values.pop("transfer_rate"), **values)
    if point.network != "veth":
        point = replace(point, mtu=None, offloads=True, gso_max_size=None)
    if point.transfer == "stream":
        return replace(point, transfer_size=None, connection="persistent", header_bytes=0, arrivals="closed", transfers_per_s=None)
    return replace(point, rate_bps=None, transfers_per_s=None if point.arrivals == "closed" else point.transfers_per_s)
