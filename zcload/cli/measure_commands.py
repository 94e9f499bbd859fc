"""The commands that measure: run, crossover, demo, receive, send.

Bodies import what they need, so that `zcload --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcload.cli import completion
from zcload.cli.options import (
    Chunk,
    ClusterAddress,
    Contenders,
    FailIfUnproven,
    Full,
    Insecure,
    Mechanism,
    NoHtml,
    NoProgress,
    NoWait,
    OutDirectory,
    Seed,
    SeedOfOrder,
    Set,
    StudyName,
    SummaryJson,
    Via,
)


def run(
    config: StudyName,
    mechanisms: Contenders = None,
    out: OutDirectory = None,
    set_: Set = None,
    file: Annotated[str | None, typer.Option(metavar="FILE", help="Send this file instead of one that zcload makes.")] = None,
    chunk: Chunk = None,
    senders: Annotated[str | None, typer.Option(metavar="N", help="Use N sender processes in each lane; several: 1,4.")] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Offer this load in each lane: 2Gbit/s, max; several: 1Gbit/s,5Gbit/s.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Measure this long in total, shared equally by the points: 20s, 5m.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Measure each point this long; the points of a search share it.")] = None,
    mechanism: Mechanism = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the study as a TOML config to FILE, too.")] = None,
    replicates: Annotated[int | None, typer.Option(metavar="N", help="Measure in at least N fresh processes (stop.replicates).")] = None,
    cluster: ClusterAddress = None,
    insecure: Insecure = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show the time, memory and CPUs that the study needs, and exit.")] = False,
    json: SummaryJson = False,
    no_progress: NoProgress = False,
    seed: Seed = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if this host cannot run one of the variants.")] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="GATE",
            autocompletion=completion.gates,
            help="Exit with 3 if proven against the baseline: 'total_cpu_s_per_gb > -20%' (repeatable).",
        ),
    ] = None,
    fail_if_unproven: FailIfUnproven = False,
    json_stream: Annotated[
        bool, typer.Option("--json-stream", help="Print a line of JSON an event on stdout: progress, summary, error.")
    ] = False,
    check_windows: Annotated[bool, typer.Option("--check-windows", help="Also measure windows of 2 s and compare.")] = False,
    full: Full = False,
    host_name: Annotated[bool, typer.Option("--host-name", help="Store this host's name in the result.")] = False,
    no_html: NoHtml = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in RESULT_DIR; with a longer --max-time measure a finished one further.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the commands of a stored result are executed.")] = False,
    no_wait: NoWait = False,
) -> None:
    """Run a study, print its report and store the result."""
    from zcload.cli.run import run_study
    from zcload.cli.run_choices import RunChoices

    choices = RunChoices(
        out=out,
        seed=seed,
        strict=strict,
        check_windows=check_windows,
        host_name=host_name,
        resume=resume,
        wait=not no_wait,
        plan_only=plan,
        json=json,
        json_stream=json_stream,
        progress=not no_progress,
        page=not no_html,
        full=full,
        gates=fail_if or [],
        fail_if_unproven=fail_if_unproven,
    )
    own_options = {
        "--file": ("workload.file", file),
        "--chunk": ("workload.chunk", _swept(chunk)),
        "--senders": ("workload.senders", _swept(senders)),
        "--rate": ("workload.rate", _swept(rate)),
        "--replicates": ("stop.replicates", None if replicates is None else str(replicates)),
        "--cluster": ("cluster.scheduler", cluster),
        "--insecure": ("cluster.insecure", "true" if insecure else None),
    }
    raise typer.Exit(
        run_study(
            [config, *(mechanisms or [])],
            set_ or [],
            {option: (key, value) for option, (key, value) in own_options.items() if value is not None},
            choices=choices,
            mechanisms=mechanism or [],
            time=time,
            max_time=max_time,
            save_as=save,
            yes=yes,
        )
    )


def _swept(value: str | None) -> str | None:
    """Return several values with commas between them as the list that a sweep is; one in brackets already is such a list."""
    return f"[{value}]" if value is not None and "," in value and not value.lstrip().startswith("[") else value


def crossover(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[A B] [CONFIG]", autocompletion=completion.studies, help="Search with baseline A and contender B, a config, or both."
        ),
    ],
    sweep: Annotated[
        str | None,
        typer.Option(metavar="KEY", autocompletion=completion.swept, help="Sweep KEY: chunk, file_size, transfer_size, senders or rate."),
    ] = None,
    low: Annotated[str | None, typer.Option("--from", metavar="VALUE", help="Start at VALUE: 4KiB.")] = None,
    high: Annotated[str | None, typer.Option("--to", metavar="VALUE", help="End at VALUE: 1MiB.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Stop when the interval's upper end is at most this far above the lower: 50%.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Search at most this long in total: 4m.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Do the same as --time: the points of a search share it.")] = None,
    out: OutDirectory = None,
    set_: Set = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show the time, memory and CPUs that the search needs, and exit.")] = False,
    json: SummaryJson = False,
    no_progress: NoProgress = False,
    seed: Seed = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if this host cannot run one of the two.")] = False,
    no_html: NoHtml = False,
    no_wait: NoWait = False,
) -> None:
    """Find where B starts to beat A: the chunk, file size, number of senders or rate."""
    from zcload.cli.crossover import crossover_study
    from zcload.cli.run import carry_out
    from zcload.cli.run_choices import RunChoices

    options = {"--sweep": sweep, "--from": low, "--to": high, "--precision": precision, "--time": time, "--max-time": max_time}
    choices = RunChoices(
        out=out,
        seed=seed,
        strict=strict,
        wait=not no_wait,
        plan_only=plan,
        json=json,
        progress=not no_progress,
        page=not no_html,
    )
    raise typer.Exit(carry_out(crossover_study(names, set_ or [], options), choices))


def demo(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="Send this file [default: make one, 2.4 GB if it fits].")] = None,
    rounds: Annotated[int, typer.Option(help="Send the file this often with each contender.")] = 5,
    size: Annotated[str | None, typer.Option(help="Make a file of this size: 2.4GB.")] = None,
    seed: SeedOfOrder = None,
    no_progress: NoProgress = False,
) -> None:
    """Repeat the experiment of 2015: sendall(f.read()) against sendfile, and a fair copy loop."""
    from zcload.cli.oneshot import run_demo

    run_demo(file, rounds=rounds, size=size, seed=seed, show_progress=not no_progress)


def receive(
    address: Annotated[
        str,
        typer.Argument(
            metavar="[HOST:PORT]",
            autocompletion=completion.listening,
            help="Listen here: 10000, :10000 or 0.0.0.0 (every address of this host).",
        ),
    ] = "127.0.0.1:10000",
    once: Annotated[bool, typer.Option("--once", help="End after one transfer.")] = False,
    no_digest: Annotated[bool, typer.Option("--no-digest", help="Count the bytes only, without a second pass to verify them.")] = False,
    digest_inside: Annotated[
        bool, typer.Option("--digest-inside", help="Compute the SHA-256 while receiving; it is then part of the time.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON a transfer.")] = False,
) -> None:
    """Receive raw TCP streams and print bytes, goodput and CPU cost (in 2015: zerocopyserver)."""
    from zcload.cli.oneshot import run_receive

    raise typer.Exit(run_receive(address, once=once, digest=not no_digest, digest_inside=digest_inside, as_json=json))


def send(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Send this file.")],
    address: Annotated[
        str, typer.Argument(metavar="[HOST:PORT]", help="Send to the `zcload receive` at this address [default port: 10000].")
    ] = "127.0.0.1:10000",
    via: Via = "sendfile",
    chunk: Annotated[str, typer.Option(help="Send this much in one call.")] = "256KiB",
    repeat: Annotated[int, typer.Option(metavar="N", help="Send it N times through each mechanism, in turn, and print the medians.")] = 1,
    no_digest: Annotated[bool, typer.Option("--no-digest", help="Do not verify the bytes with SHA-256.")] = False,
    seed: SeedOfOrder = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")] = False,
    no_progress: NoProgress = False,
) -> None:
    """Send a file and print bytes, goodput and CPU cost (in 2015: copyclient, zerocopyclient)."""
    from zcload.cli.oneshot import run_send

    run_send(
        file,
        address,
        via=via,
        chunk=chunk,
        digest=not no_digest,
        repeat=repeat,
        seed=seed,
        as_json=json,
        show_progress=not no_progress,
    )
