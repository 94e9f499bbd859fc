"""`zcload run`: a config or a stored result in, a study run, its report out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from zcload.cli.live import viewer
from zcload.cli.output_files import write_page
from zcload.cli.plan import show_plan
from zcload.cli.report import for_terminal
from zcload.errors import ConfigError, Problem, ZcloadError
from zcload.linux import interrupt
from zcload.model.study import Study
from zcload.model.units import human_duration


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
        show_plan(study, check_windows, as_json)
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
