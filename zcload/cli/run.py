"""`zcload run`: a config or a stored result in, a study run, its report out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from zcload import interrupt
from zcload.cli.charts import write_page
from zcload.cli.live import viewer
from zcload.cli.show import for_terminal
from zcload.errors import ConfigError, Problem
from zcload.model import Point, Study
from zcload.units import human_bytes, human_duration


def load_study(config: str, overrides: Sequence[str]) -> Study:
    """Load a config file, or the config that a result was made with; raises ConfigError."""
    from zcload.config import from_tree, load
    from zcload.results import SUMMARY, WINDOWS, read_records

    path = Path(config)
    stored = path / WINDOWS if path.is_dir() else path if path.name == WINDOWS else path.parent / WINDOWS if path.name == SUMMARY else None
    if stored is None:
        return load(path, overrides)
    if not stored.exists():
        raise ConfigError(Problem(f"is a directory without a {WINDOWS}: neither a config nor a result", file=config))
    return from_tree(read_records(stored)[0]["config"], str(stored), overrides)


def run_study(
    config: str,
    overrides: Sequence[str],
    *,
    out: Path | None,
    plan_only: bool,
    as_json: bool,
    show_progress: bool,
    seed: int | None,
    strict: bool,
    check_windows: bool,
    host_name: bool,
    page: bool,
) -> int:
    """Run the study and print what is to be printed; return the exit code."""
    return carry_out(
        load_study(config, overrides),
        out=out,
        plan_only=plan_only,
        as_json=as_json,
        show_progress=show_progress,
        seed=seed,
        strict=strict,
        check_windows=check_windows,
        host_name=host_name,
        page=page,
    )


def carry_out(
    study: Study,
    *,
    out: Path | None,
    plan_only: bool,
    as_json: bool,
    show_progress: bool,
    seed: int | None,
    strict: bool,
    check_windows: bool = False,
    host_name: bool = False,
    page: bool = True,
) -> int:
    """Run a study that is checked, after telling what it will take; print what is to be printed; return the exit code."""
    from zcload.report import renderer
    from zcload.study import preflight
    from zcload.study.plan import plan
    from zcload.study.run import run

    study = preflight.resolve(study)
    planned = plan(study, check_windows)
    if plan_only:
        _show_plan(study, check_windows)
        return 0
    points = f"{len(planned.points)} {'values' if study.crossover else 'points'}, " if len(planned.points) > 1 else ""
    usual = f"usually about {human_duration(round(planned.typical_s))}, " if planned.typical_s else ""
    limit = human_duration(round(planned.total_s))
    print(f"{study.name}: {points}{len(planned.lanes)} lanes, {usual}at most {limit} in all", file=sys.stderr)
    with viewer(show_progress) as view:
        outcome = run(study, out, seed=seed, strict=strict, check_windows=check_windows, host_name=host_name, view=view)
    text = renderer("json")([outcome.result]) if as_json else for_terminal([outcome.result])
    print(text, end="", flush=True)
    print(f"result: {outcome.directory}", file=sys.stderr)
    if page:
        write_page(outcome.result, outcome.directory)
    if outcome.error is not None:
        raise outcome.error
    interrupt.check()
    return outcome.exit_code


def _some(names: Sequence[str], most: int = 12) -> str:
    """List *names*, of very many the first and the last."""
    shown = names if len(names) <= most else [*names[: most - 2], "...", names[-1]]
    return "; ".join(shown)


def _network(point: Point) -> str:
    from zcload.lane.network import address_of

    if point.network != "veth":
        return f"{point.network} {point.address}"
    return f"veth {address_of(point)}, MTU {point.mtu or 'auto'}, offloads {'on' if point.offloads else 'off'}"


def _show_plan(study: Study, check_windows: bool) -> None:
    import random

    from zcload.observe.topology import read_cores
    from zcload.placement import place
    from zcload.study import preflight
    from zcload.study.plan import plan

    cores = read_cores()
    preflight.check_host(study, cores)
    planned = plan(study, check_windows)
    first = study.points[0]
    placement = place(first.placement, first.senders, first.receiver_count, cores, random.Random(0))
    unavailable = preflight.unavailable(study, first)

    def cpus(sets: Sequence[frozenset[int]]) -> str:
        return ",".join(map(str, sorted(frozenset().union(*sets))))

    roles = f"senders {cpus(placement.senders)}, receivers {cpus(placement.receivers)}, coordinator {cpus([placement.coordinator])}"
    shuffled = "" if study.points[0].placement == "free" else " (roles are drawn anew for each generation)"
    search = study.crossover
    facts = {
        "study": study.name,
        **({"search": f"where {search.contender} starts to beat {study.baseline}, along {search.sweep}"} if search else {}),
        "points": f"{len(planned.points)}: {_some(planned.points)}",
        "lanes": ", ".join(planned.lanes) + (" and the baseline at its best chunk" if study.best_chunk else ""),
        "schedule": study.schedule,
        "processes": f"{planned.processes} at once",
        "CPUs": roles + shuffled,
        "network": "; ".join(dict.fromkeys(_network(point) for point in study.points)),
        "memory": human_bytes(planned.memory_bytes),
        "disk": human_bytes(planned.disk_bytes),
        "time": f"usually about {human_duration(round(planned.typical_s))}, at most {human_duration(round(planned.total_s))} in all"
        if planned.typical_s
        else f"about {human_duration(round(planned.setup_s))} to set up and verify, at most "
        f"{human_duration(round(planned.measure_s + planned.check_s))} to measure",
    }
    for name, fact in facts.items():
        print(f"{name + ':':<11}{fact}")
    for name, why in unavailable.items():
        print(f"{'skipped:':<11}{name}: {why.reason}" + (f" ({why.remedy})" if why.remedy else ""))
