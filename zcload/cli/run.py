"""`zcload run`: a config or a stored result in, a study run, its report out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from zcload.cli.live import viewer
from zcload.cli.output_files import write_page
from zcload.cli.show import for_terminal
from zcload.errors import ConfigError, Problem, ZcloadError
from zcload.linux import interrupt
from zcload.model.study import Point, Study
from zcload.model.units import human_bytes, human_duration


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
    resume: bool = False,
) -> int:
    """Run the study and print what is to be printed; return the exit code."""
    from zcload import api

    if resume:
        if overrides or out is not None or seed is not None or check_windows:
            raise ConfigError(
                Problem(
                    "goes on with the run as it was begun",
                    key="--resume",
                    remedy="leave out --set, --max-time, --out, --seed, --check-windows",
                )
            )
        out = Path(config)
    return carry_out(
        api.study_of(Path(config), overrides),
        out=out,
        plan_only=plan_only,
        as_json=as_json,
        show_progress=show_progress,
        seed=seed,
        strict=strict,
        check_windows=check_windows,
        host_name=host_name,
        page=page,
        resume=resume,
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
    resume: bool = False,
) -> int:
    """Run a study that is checked, after telling what it will take; print what is to be printed; return the exit code."""
    from zcload import api
    from zcload.report import renderer
    from zcload.runner import preflight
    from zcload.runner.plan import plan

    study = preflight.resolve(study)
    planned = plan(study, check_windows)
    if plan_only:
        _show_plan(study, check_windows, as_json)
        return 0
    points = f"{len(planned.points)} {'values' if study.crossover else 'points'}, " if len(planned.points) > 1 else ""
    usual = f"usually about {human_duration(round(planned.typical_s))}, " if planned.typical_s else ""
    limit = human_duration(round(planned.total_s))
    print(f"{study.name}: {points}{len(planned.lanes)} lanes, {usual}at most {limit} in all", file=sys.stderr)
    error: ZcloadError | None = None
    with viewer(show_progress) as view:
        try:
            result = api.run(
                study, out=out, seed=seed, strict=strict, check_windows=check_windows, host_name=host_name, view=view, resume=resume
            )
        except ZcloadError as caught:
            if caught.result is None:
                raise
            result, error = caught.result, caught
    text = renderer("json")([result]) if as_json else for_terminal([result])
    print(text, end="", flush=True)
    print(f"result: {result.directory}", file=sys.stderr)
    if page and result.directory is not None:
        write_page(result, result.directory)
    if error is not None:
        raise error
    interrupt.check()
    return int(bool(result.failed))


def _some(names: Sequence[str], most: int = 12) -> str:
    """List *names*, of very many the first and the last."""
    shown = names if len(names) <= most else [*names[: most - 2], "...", names[-1]]
    return "; ".join(shown)


def _network(point: Point) -> str:
    from zcload.lane.network import address_of

    if point.network != "veth":
        return f"{point.network} {point.address}"
    return f"veth {address_of(point)}, MTU {point.mtu or 'auto'}, offloads {'on' if point.offloads else 'off'}"


def _show_plan(study: Study, check_windows: bool, as_json: bool) -> None:
    import json
    import random

    from zcload.host.topology import read_cores
    from zcload.lane.placement import place
    from zcload.runner import preflight
    from zcload.runner.plan import plan

    cores = read_cores()
    preflight.check_host(study, cores)
    planned = plan(study, check_windows)
    first = study.points[0]
    placement = place(first.placement, first.senders, first.receiver_count, cores, random.Random(0))
    unavailable = preflight.unavailable(study, first)

    if as_json:
        tree = {
            **planned.as_dict(study),
            "cpus": {
                "senders": sorted(frozenset().union(*placement.senders)),
                "receivers": sorted(frozenset().union(*placement.receivers)),
                "coordinator": sorted(placement.coordinator),
                "drawn_anew": first.placement != "free",
            },
            "network": list(dict.fromkeys(_network(point) for point in study.points)),
            "skipped": [{"variant": name, "reason": why.reason, "remedy": why.remedy} for name, why in unavailable.items()],
        }
        print(json.dumps(tree, indent=1, allow_nan=False))
        return

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
