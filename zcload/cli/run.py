"""`zcload run`: run a study from a config or a stored result, and print its report."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zcload.cli.json_stream import errors_as_events, streaming, summary_event
from zcload.cli.live import viewer
from zcload.cli.output_files import PAGE, say_what_is_missing, starting_to_draw, write_page
from zcload.cli.plan import expected, show_plan
from zcload.cli.report import print_report
from zcload.cli.run_choices import RunChoices
from zcload.cli.stored_commands import confirm_stored_commands
from zcload.cli.study_names import save, study_of_names, with_time
from zcload.compare.gates import ChangeGate, parse
from zcload.compare.run_gates import check_gates, judge_run
from zcload.config.overrides import AddedVariant, Override
from zcload.errors import ConfigError, GateTripped, Problem, StudyError, ZcloadError
from zcload.linux import interrupt
from zcload.model.printable import typed
from zcload.model.study import Study
from zcload.model.units import ValueRefused, counted, shown


def run_study(
    names: Sequence[str],
    overrides: Sequence[str],
    options: Mapping[str, tuple[str, str]],
    *,
    choices: RunChoices,
    mechanisms: Sequence[str] = (),
    time: str | None = None,
    max_time: str | None = None,
    save_as: Path | None = None,
    yes: bool = False,
) -> int:
    """Run the study that *names* mean and print its report; return the exit code.

    *options* are the keys and values that options of their own have set, by option. *mechanisms* are classes in files, each a variant.
    """
    with errors_as_events(choices.json_stream):
        if choices.resume:
            values: dict[str, object] = {"--set": overrides, "--mechanism": mechanisms, "--time": time, "--save": save_as}
            values |= {"--out": choices.out, "--seed": choices.seed, "--check-windows": choices.check_windows or None}
            _check_resume(names, [*options, *(option for option, value in values.items() if value not in (None, [], ()))])
            choices = replace(choices, out=Path(names[0]))
        if len(names) == 1:
            confirm_stored_commands(names[0], yes=yes, plan_only=choices.plan_only)
        given = [*overrides, *map(_own_variant, mechanisms), *(Override.of(option, key, value) for option, (key, value) in options.items())]
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
            print(f"wrote {save_as}; run it again with: zcload run {typed(save_as)}", file=sys.stderr)
        return carry_out(study, choices)


def _own_variant(name: str) -> Override:
    """Return the variant that `--mechanism NAME` adds; raises ConfigError if the class breaks the contract of a mechanism."""
    from zcload.mechanisms import mechanism_called
    from zcload.mechanisms.own_file import is_file_form

    try:
        if not is_file_form(name):
            raise ValueRefused(
                f"{shown(name)} is not FILE.py:Class", "--mechanism my_send.py:MySend; give names of mechanisms without an option"
            )
        return AddedVariant.named("--mechanism", mechanism_called(name).name, name)
    except ValueRefused as refused:
        raise ConfigError(Problem(refused.what, key="--mechanism", remedy=refused.remedy)) from None


def _check_resume(names: Sequence[str], given: Sequence[str]) -> None:
    """Raise ConfigError for the options *given* that cannot be combined with --resume."""
    if given:
        what = "cannot be combined with options that change the run, except --max-time"
        raise ConfigError(Problem(what, key="--resume", remedy=f"leave out {', '.join(given)}"))
    if len(names) != 1:
        raise ConfigError(Problem("expected one RESULT_DIR", key="--resume", remedy="zcload run --resume results/..."))


def carry_out(study: Study, choices: RunChoices) -> int:
    """Print what the study needs, run it, print its report; return the exit code."""
    from zcload import api
    from zcload.report import renderer
    from zcload.runner import preflight
    from zcload.runner.plan import plan

    parsed = _gates(choices, study)
    study = preflight.resolve(study)
    planned = plan(study, choices.check_windows)
    if choices.plan_only:
        show_plan(study, choices.check_windows, choices.json)
        return 0
    points = f"{counted(len(planned.points), 'value' if study.crossover else 'point')}, " if len(planned.points) > 1 else ""
    print(f"{study.name}: {points}{counted(len(planned.lanes), 'lane')}, {expected(planned)}", file=sys.stderr)
    error: ZcloadError | None = None
    with viewer(choices.progress) as live:
        view = streaming(live) if choices.json_stream else live
        if choices.page:
            view = starting_to_draw(view)
        try:
            result = api.run(
                study,
                out=choices.out,
                seed=choices.seed,
                strict=choices.strict,
                check_windows=choices.check_windows,
                host_name=choices.host_name,
                view=view,
                resume=choices.resume,
                wait=choices.wait,
            )
        except ZcloadError as caught:
            if caught.result is None:
                raise
            result, error = caught.result, caught
    print(f"result: {result.directory}", file=sys.stderr)
    # Of a start that failed there is nothing to show but its error.
    measured = error is None or any(point["generations"] for point in result.summary["points"])
    page = choices.page and measured and result.directory is not None
    if page:
        print(f"report: {result.directory}/{PAGE}", file=sys.stderr)
        say_what_is_missing()
    if choices.json_stream or choices.json:
        print(summary_event(result) if choices.json_stream else renderer("json")([result]), end="", flush=True)
    elif measured:
        print_report([result], choices.full)
    if page and result.directory is not None:  # last: nobody waits for the answer, and it stays right above the prompt
        write_page(result, result.directory)
    if error is not None:
        raise error
    interrupt.check()
    bad = [
        one for one in judge_run(parsed, result.summary) if one.state == "tripped" or (choices.fail_if_unproven and one.state == "unproven")
    ]
    if bad and not result.failed:
        raise GateTripped("\n".join(map(str, bad)))
    if result.failed:
        raise StudyError("\n".join(result.failed))
    return 0


def _gates(choices: RunChoices, study: Study) -> list[ChangeGate]:
    """Parse the gates of --fail-if; raises ConfigError before anything is measured for one that cannot be judged."""
    if choices.fail_if_unproven and not choices.gates:
        raise ConfigError(Problem("there is no gate to prove", key="--fail-if-unproven", remedy="give one with --fail-if"))
    parsed = [parse(text) for text in choices.gates]
    check_gates(parsed, [variant.name for variant in study.variants if variant.name != study.baseline])
    return parsed
