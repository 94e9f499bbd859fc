"""`zcload run`: run a study from a config or a stored result, and print its report."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from zcload.cli.live import viewer
from zcload.cli.output_files import PAGE, say_what_is_missing, write_page
from zcload.cli.plan import show_plan
from zcload.cli.report import print_report
from zcload.cli.study_names import save, study_of_names, with_time
from zcload.config.overrides import Override
from zcload.errors import ConfigError, Problem, ZcloadError
from zcload.linux import interrupt
from zcload.model.study import Study
from zcload.model.units import human_duration


def run_study(
    names: Sequence[str],
    overrides: Sequence[str],
    options: Mapping[str, tuple[str, str]],
    *,
    time: str | None,
    max_time: str | None,
    save_as: Path | None,
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
    wait: bool,
    full: bool,
) -> int:
    """Run the study that *names* mean and print its report; return the exit code.

    *options* are the keys and values that options of their own have set, by option.
    """
    if resume:
        _check_resume(names, [*overrides, *options], time, max_time, save_as, out, seed, check_windows)
        out = Path(names[0])
    given = [*overrides, *(Override.of(option, key, value) for option, (key, value) in options.items())]
    if time is not None and max_time is not None:
        raise ConfigError(
            Problem(
                "cannot be combined with --max-time",
                key="--time",
                remedy="leave one out: --time is for all points together, --max-time for each",
            )
        )
    if max_time is not None:
        key = "crossover.max_time" if study_of_names(names, given).crossover else "stop.max_time"
        given.append(Override.of("--max-time", key, max_time))
    study, given = with_time(names, given, time)
    if save_as is not None:
        save(names, given, save_as)
        print(f"wrote {save_as}; run it again with: zcload run {save_as}", file=sys.stderr)
    return carry_out(
        study,
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
        wait=wait,
        full=full,
    )


def _check_resume(
    names: Sequence[str],
    changed: Sequence[str],
    time: str | None,
    max_time: str | None,
    save_as: Path | None,
    out: Path | None,
    seed: int | None,
    check_windows: bool,
) -> None:
    """Raise ConfigError for options that cannot be combined with --resume."""
    if changed or check_windows or not all(given is None for given in (time, max_time, save_as, out, seed)):
        raise ConfigError(
            Problem(
                "cannot be combined with options that change the run",
                key="--resume",
                remedy="leave out --set, --file, --chunk, --senders, --rate, --time, --max-time, --save, --out, --seed, --check-windows",
            )
        )
    if len(names) != 1:
        raise ConfigError(Problem("expected one RESULT_DIR", key="--resume", remedy="zcload run --resume results/..."))


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
    wait: bool = True,
    full: bool = False,
) -> int:
    """Print what the study needs, run it, print its report; return the exit code."""
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
                study,
                out=out,
                seed=seed,
                strict=strict,
                check_windows=check_windows,
                host_name=host_name,
                view=view,
                resume=resume,
                wait=wait,
            )
        except ZcloadError as caught:
            if caught.result is None:
                raise
            result, error = caught.result, caught
    print(f"result: {result.directory}", file=sys.stderr)
    page = page and result.directory is not None
    if page:
        print(f"report: {result.directory}/{PAGE}", file=sys.stderr)
        say_what_is_missing()
    if as_json:
        print(renderer("json")([result]), end="", flush=True)
    else:
        print_report([result], full)
    if page and result.directory is not None:  # last: nobody waits for the answer, and it stays right above the prompt
        write_page(result, result.directory)
    if error is not None:
        raise error
    interrupt.check()
    return int(bool(result.failed))
