"""The installed command from outside: what it prints where, its exit codes, and what it says to wrong input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import jsonschema
import pytest
from support.command_line import invoke, zcload
from support.paths import CONFIGS
from typer.main import get_command
from typer.testing import CliRunner

from zcload import __version__
from zcload.cli.app import app
from zcload.report import FORMATS, renderer
from zcload.store.reader import Result
from zcload.store.result_schema import summary_schema

SMALL = ["--set", "workload.file_size=8MiB", "--max-time", "1s", "--no-wait", "--replicates", "1"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Run the smoke study once for all tests that only look at what a run leaves; return its directory and the finished process."""
    folder = tmp_path_factory.mktemp("smoke")
    done = zcload("run", CONFIGS / "smoke.toml", *SMALL, "--json", "--out", "r", "--seed", "7", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "r", done


@pytest.mark.serial
def test_run_json_is_alone_on_stdout_and_valid(smoke):
    """`run --json` prints one valid summary on stdout and nothing else there; the result directory holds the same, and its page."""
    result, done = smoke
    summary = json.loads(done.stdout)
    jsonschema.validate(summary, summary_schema())
    assert json.loads((result / "summary.json").read_text()) == summary
    assert (result / "report.html").read_text().endswith("</html>\n")
    assert summary["complete"] is True


@pytest.mark.serial
def test_figures_hold_what_must_hold(smoke):
    """In every window the receivers' bytes are the senders', and the lanes' CPU time fits into elapsed time x CPUs."""
    records = [json.loads(line) for line in (smoke[0] / "windows.jsonl").read_text().splitlines()]
    windows = [record for record in records if record["kind"] == "window"]
    assert windows
    cpus = len(records[0]["environment"]["cpus_allowed"])
    for window in windows:
        sent = sum(after[1] - before[1] for before, after in window["senders"])
        received = sum(after[1] - before[1] for before, after in window["receivers"])
        used = sum(after[0] - before[0] for role in ("senders", "receivers") for before, after in window[role])
        assert sent == received > 0
        assert window["open_ns"] < window["close_ns"] <= window["rest_ns"]
        assert 0 < used <= cpus * (window["rest_ns"] - window["open_ns"]) * 1.02 + 2_000_000
    verified = {record["variant"]: record["digest"] for record in records if record["kind"] == "verified"}
    assert set(verified) == {"read_send", "sendfile"}
    assert len(set(verified.values())) == 1


@pytest.mark.slow
def test_together_with_aa_and_best_chunk(tmp_path):
    """Lanes that run together have a common interval and no machine ledger; A/A and best-chunk lanes are in the summary."""
    done = zcload(
        "run",
        CONFIGS / "parallel.toml",
        *SMALL,
        "--no-html",
        "--set",
        "study.aa=true",
        "--set",
        "study.best_chunk=true",
        "--json",
        "--out",
        "r",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    jsonschema.validate(summary, summary_schema())
    point = summary["points"][0]
    assert [v["name"] for v in point["variants"] if v["aa"]] == ["read_send#2"]
    assert point["best_chunk"]["chunk_bytes"] >= 16384
    assert all(v["metrics"]["system_cpu_s_per_gb"]["estimate"] is None for v in point["variants"])


@pytest.mark.serial
def test_repeats_a_stored_result(smoke, tmp_path):
    """`run RESULT_DIR` repeats a study with its config and, given its seed, with its order."""
    again = zcload("run", smoke[0], "--no-wait", "--no-html", "--json", "--out", "b", "--seed", "7", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(smoke[1].stdout)["config"] == json.loads(again.stdout)["config"]
    orders = []
    for result in (smoke[0], tmp_path / "b"):
        records = [json.loads(line) for line in (result / "windows.jsonl").read_text().splitlines()]
        orders.append([(r["generation"], r["block"], r["lane"]) for r in records if r["kind"] == "window"][:4])
    assert orders[0] == orders[1]


@pytest.mark.slow
@pytest.mark.serial
def test_check_windows_reports_both(tmp_path, monkeypatch):
    """`--check-windows` measures long windows too and puts both ratios side by side."""
    import zcload.runner.point as point_module
    from zcload.config import load
    from zcload.runner.run import run

    for name, value in (("CHECK_WINDOW_S", 0.1), ("CHECK_GENERATIONS", 2), ("CHECK_BLOCKS", 1)):
        monkeypatch.setattr(point_module, name, value)
    study = load(CONFIGS / "smoke.toml", ["workload.file_size=8MiB", "stop.max_time=1s", "stop.replicates=1"])
    outcome = run(study, tmp_path / "r", check_windows=True)
    assert outcome.error is None
    check = outcome.summary["points"][0]["window_check"]
    assert {row["metric"] for row in check["rows"]} >= {"total_cpu_s_per_gb", "sender_voluntary_switches_per_gb"}
    assert "windows of 0.1 s" in renderer("table")([outcome.result])


@pytest.mark.serial
def test_reports_in_every_format(smoke, tmp_path):
    """A stored result renders in every format, from its summary and from its windows alone, the same."""
    windows = tmp_path / "windows.jsonl"
    windows.write_bytes((smoke[0] / "windows.jsonl").read_bytes())
    stored, derived = Result.load(smoke[0]), Result.load(windows)
    assert stored.summary == derived.summary
    for form in FORMATS:
        assert renderer(form)([stored]) == renderer(form)([derived])
    shown = zcload("report", smoke[0], "--format", "markdown", "--out", "report.md", cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (0, "")
    assert (tmp_path / "report.md").read_text() == renderer("markdown")([stored])


def test_a_lane_without_memory_is_skipped(tmp_path, capsys):
    """A mechanism whose private memory does not fit is skipped with its reason in the plan and refused with --strict, not killed."""
    config = tmp_path / "c.toml"
    config.write_text(
        '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send", "sendfile", "slurp_send"]\nbest_chunk = false\n[workload]\n'
        'file_size = "1GiB"\nsenders = 1000\n'
    )
    plan = invoke(capsys, "run", config, "--plan")
    assert plan.code == 0
    assert "skipped:   slurp_send: 1000 senders need" in plan.out
    strict = invoke(capsys, "run", config, "--no-wait", "--strict")
    assert strict.code == 2
    assert strict.err.splitlines()[-1].startswith("zcload: error: slurp_send cannot run here: 1000 senders need")


WRONG = [
    (["run", "no.toml"], "no.toml: no such file"),
    (["run", "."], "neither a config nor a result"),
    (["run", "S", "--set", "workload.file=/nope"], "workload.file: /nope: no such file or directory"),
    (["run", "S", "--set", "workload.file=."], "workload.file: . is a directory, not a file"),
    (["run", "S", "--set", "workload.file=empty"], "workload.file: empty is empty: there is nothing to send"),
    (["run", "S", "--set", "workload.file=/dev/zero"], "workload.file: /dev/zero is not a regular file"),
    (["run", "S", "--set", "workload.file_size=900TB"], "workload.file_size: 900 TB of files do not fit"),
    (["run", "S", "--set", "workload.file_size=900TB", "--set", "workload.dir=d"], "workload.dir: 900 TB of files do not fit"),
    (["run", "S", "--set", "workload.dir=empty"], "workload.dir: cannot make files in empty"),
    (["run", "S", "--set", "workload.address=192.0.2.1"], "workload.address: 192.0.2.1 is not an address of this machine"),
    (["run", "S", "--set", "workload.congestion=nonesuch"], "workload.congestion: congestion control 'nonesuch' cannot be set"),
    (["run", "S", "--out", "empty/r"], "--out: cannot write to empty/r"),
    (["run", "S", "--out", "taken"], "--out: taken holds a result already"),
    (["run", "S", "--set", "workload.chunk=64K"], "--set: workload.chunk"),
    (["run", "S", "--max-time", "soon"], "--max-time: 'soon' is not a duration"),
    (["run", "S", "--sed", "1"], "no such option: --sed"),
    (["run", "S", "--chnk", "64KiB"], "no such option: --chnk (did you mean --chunk? see `zcload run --help`)"),
    (["run", "S", "--host-name=yes"], "--host-name: takes no value (write --host-name alone)"),
    (["run", "S", "--chunk"], "--chunk: needs a value (see `zcload run --help`)"),
    (["run", "S", "--seed", "-1"], "--seed: -1 is out of range: expected 0 or more (see `zcload run --help`)"),
    (["demo", "--seed", str(2**63)], f"--seed: {2**63} is out of range: expected {2**63 - 1} or less"),
    (["send", "S", "--seed=-1"], "--seed: -1 is out of range"),
    (["cluster", "up", "a", "b", "--port", "x"], "--port: 'x' is not a whole number (see `zcload cluster up --help`)"),
    (["run"], "missing argument"),
    (["report", "."], "it is not a result"),
    (["report", "taken"], "holds no result"),
    (["report", "S"], "is not JSON"),
    (["report", "taken", "--format", "pdf"], "'pdf' is not a format"),
    (["init", "smok"], "did you mean 'smoke'?"),
    (["init", "smoke"], "smoke.toml already exists"),
    (["nonesuch"], "no such command 'nonesuch'"),
    (["run", "read_send", "read_send"], "'read_send' is named twice (name each once; --set study.aa=true"),
    (["run", "--", "S", "--plan"], "'--plan' is not a mechanism (options come before --)"),
    (["run", "--resume", "S", "--senders", "3", "--seed", "1"], "(leave out --senders, --seed)"),
    (["run", "--resume", str(CONFIGS / "smoke.toml")], "holds no windows.jsonl: there is no run to resume (give the directory of a result"),
    (["history", "nowhere"], "nowhere: no such directory (zcload history DIR, where results are stored)"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_wrong_input_gives_one_clear_line(arguments, message, tmp_path, monkeypatch, capsys):
    """Wrong input ends with exit code 2 and one line that says what was found; nothing is left behind."""
    (tmp_path / "empty").touch()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "windows.jsonl").touch()
    (tmp_path / "smoke.toml").write_text((CONFIGS / "smoke.toml").read_text())
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    done = invoke(capsys, *[str(CONFIGS / "smoke.toml") if a == "S" else a for a in arguments])
    assert done.code == 2
    errors = [line for line in done.err.splitlines() if line.startswith("zcload: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


# Each command with a place for a path, and what else it needs.
PATHS = [
    ["run", "{}"],
    ["run", "--resume", "{}"],
    ["run", "S", "--file", "{}"],
    ["run", "S", "--out", "{}", "--no-wait"],
    ["run", "S", "--save", "{}.toml", "--plan"],
    ["run", "S", "--mechanism", "{}.py:X"],
    ["crossover", "{}"],
    ["report", "{}"],
    ["report", "S", "--with", "{}"],
    ["compare", "{}", "--new", "{}"],
    ["history", "{}"],
    ["send", "{}"],
    ["demo", "{}"],
    ["cluster", "check", "{}"],
]


@pytest.mark.parametrize("command", PATHS, ids=lambda words: " ".join(words))
def test_a_path_that_cannot_be_used_is_one_line(command, tmp_path, monkeypatch, capsys):
    """A path that is empty, too long, below a file or in a circle of links gives one short line and no traceback, wherever it is given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    smoke = str(CONFIGS / "smoke.toml")
    for path in ("", "n" * 300, "d/" * 3000, "file/below", "circle/x"):
        done = invoke(capsys, *(word.format(path) if "{}" in word else smoke if word == "S" else word for word in command))
        errors = [line for line in done.err.splitlines() if line.startswith("zcload: error: ")]
        assert done.code == 2, path[:20]
        assert len(errors) == 1, path[:20]
        if not path and any(word == "{}" for word in command):
            assert "is empty (is a variable of the shell not set?)" in errors[0]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["circle", "file"]


def test_a_value_that_is_empty_is_named_by_its_option(capsys):
    """`--seed=$UNSET` is told as an empty value of --seed, `--out $UNSET` as an empty argument after it."""
    remedy = "(is a variable of the shell not set?)\n"
    assert invoke(capsys, "run", "--seed=", "smoke").err == f"zcload: error: --seed: its value is empty {remedy}"
    assert invoke(capsys, "run", "--out", "", "smoke").err == f"zcload: error: --out: the argument after '--out' is empty {remedy}"


def test_a_command_to_type_has_paths_in_quotes(capsys):
    """A path with a space is one word in the command that an error says to type."""
    assert "(zcload compare 'my runs/a' --new b)" in invoke(capsys, "compare", "my runs/a", "b").err


def test_options_take_several_values(capsys, tmp_path, monkeypatch):
    """Values with commas between them are a sweep: --chunk, --senders and --rate measure each."""
    monkeypatch.chdir(tmp_path)
    words = ("--chunk", "64KiB,1MiB", "--senders", "1,2", "--rate", "1Gbit/s,max", "--plan")
    done = invoke(capsys, "run", "read_send", "sendfile", *words)
    assert done.code == 0
    assert re.search(r"^points: +8: ", done.out, re.MULTILINE)


def test_a_taken_port_is_told(tmp_path, monkeypatch, capsys):
    """A port that somebody listens on is named, with the remedy, before anything is made."""
    import socket

    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = invoke(capsys, "run", CONFIGS / "smoke.toml", "--set", f"workload.port={port}")
    assert done.code == 2
    assert f"workload.port: port {port} is in use on 127.0.0.1 (port = 0 takes any free one)" in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_file_is_told(tmp_path):
    """A file that this user may not read is named; tried as nobody when the tests run as root."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 4096)
    secret.chmod(0)
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    code = (
        "import os, sys\n"
        "from zcload.lane.payload import check_own\n"
        "from zcload.errors import ConfigError\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: check_own(sys.argv[1])\n"
        "except ConfigError as error: print(error); sys.exit(error.exit_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(secret)],
        cwd=CONFIGS.parent,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.strip() == f"workload.file: {secret}: permission denied"


def test_plan_as_json(tmp_path, monkeypatch, capsys):
    """`--plan --json` prints the plan as one JSON object, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    done = invoke(capsys, "run", CONFIGS / "heavy.toml", "--plan", "--json")
    assert done.code == 0, done.err
    tree = json.loads(done.out)
    assert tree["baseline"] in [variant["name"] for variant in tree["variants"]]
    assert tree["points"]
    assert tree["search"] is None
    assert min(tree["processes"], tree["memory_bytes"]) > 1
    assert tree["total_s"] == tree["setup_s"] + tree["measure_s"] + tree["check_s"]
    assert all(tree["cpus"][role] for role in ("senders", "receivers"))
    assert tree["network"]
    assert list(tmp_path.iterdir()) == []


def test_plan_runs_nothing(tmp_path, monkeypatch, capsys):
    """`--plan` prints points, lanes, CPUs, memory, disk and time on stdout and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    done = invoke(capsys, "run", CONFIGS / "heavy.toml", "--plan")
    assert done.code == 0, done.err
    for word in ("points:", "lanes:", "CPUs:", "memory:", "disk:", "time:", "read_send#2"):
        assert word in done.out
    assert list(tmp_path.iterdir()) == []


def test_init_lists_and_writes(tmp_path, monkeypatch, capsys):
    """`init` lists every shipped config with what it is about, and writes one that then loads."""
    monkeypatch.chdir(tmp_path)
    names = [line.split()[0] for line in invoke(capsys, "init", "--list").out.splitlines()]
    assert {"heavy", "smoke", "parallel", "slurp", "chunks"} <= set(names)
    assert invoke(capsys, "init", "heavy").code == 0
    assert (tmp_path / "heavy.toml").read_text().endswith((CONFIGS / "heavy.toml").read_text().partition("[study]")[2])


def test_the_version_is_told(tmp_path):
    """`--version` prints name and version, and nothing else."""
    done = zcload("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"zcload {__version__}\n", "")


COMMANDS = get_command(app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_what_a_command_does_and_each_of_its_options(name):
    """`--help` of every command begins with its usage, says what it is for, and has every option with a description beside it."""
    shown = CliRunner().invoke(app, [name, "--help"], prog_name="zcload", env={"COLUMNS": "300", "TERM": "dumb"})
    assert (shown.exit_code, shown.output.split()[:3]) == (0, ["Usage:", "zcload", name])
    assert len(shown.output.split("\n\n")[1].split()) >= 3
    lines = {line.split()[0].rstrip(","): line for line in shown.output.splitlines() if line.startswith("  -")}
    described = " ".join(lines.values())
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if not re.search(rf"{option}\b.*  \S+ \S+", described)] == []
    assert all(len(re.split(r"\s{2,}", line.strip())) > 1 for line in lines.values())


def test_mechanisms_and_doctor_say_something_of_everything(capsys):
    """`mechanisms` has a line for each registry entry and `doctor` one for each check, whatever this host is like."""
    from zcload.host.doctor import CHECKS
    from zcload.mechanisms import MECHANISMS
    from zcload.sinks import SINKS

    listed = invoke(capsys, "mechanisms").out
    assert all(f"\n{name} " in listed for name in (*MECHANISMS, *SINKS))
    checked = invoke(capsys, "doctor")
    assert checked.code == 0
    assert all(check.title in checked.out for check in CHECKS.values())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "smoke", "--plan"], 2),
        (["run", "read_send", "sendfile"], 2),
        (["init"], 2),
        (["history"], 2),
        (["report", "r"], 2),
        (["doctor"], 0),
        (["schema"], 0),
    ],
)
def test_a_removed_working_directory_is_said(tmp_path, arguments, code):
    """In a directory that has been removed a command works, or ends with one error line that says so, and never with a traceback."""
    gone = tmp_path / "gone"
    gone.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent), "PYTHONSAFEPATH": "1"}
    command = ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", sys.executable, "-m", "zcload", *arguments]
    done = subprocess.run(command, cwd=gone, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr.count("zcload: error: ")) == (code, 1 if code else 0), done.stderr
    assert "Traceback" not in done.stderr


def test_output_into_a_closed_pipe_is_no_error(tmp_path):
    """A reader that leaves early, such as head, is no error and causes no traceback."""
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent)}
    done = subprocess.run(
        f"{sys.executable} -m zcload schema | head -c 10",
        shell=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr


DEAD = """
[study]
name = "dead"
baseline = "dead"
variants = ["sendfile"]
best_chunk = false
[workload]
file_size = "1MiB"
[stop]
max_time = "2s"
min_generations = 2
replicates = 1
[[variant]]
name = "dead"
kind = "server"
command = ["sh", "-c", "exit 3"]
"""


@pytest.mark.serial
def test_a_failed_start_prints_its_error_alone(tmp_path):
    """A run that measured nothing prints no report and writes no page: its last line is the error, its last event too."""
    (tmp_path / "dead.toml").write_text(DEAD)
    done = zcload("run", "dead.toml", "--out", "r", "--no-wait", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("zcload: error: the baseline failed: server dead")
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["summary.json", "windows.jsonl"]
    streamed = zcload("run", "dead.toml", "--out", "s", "--no-wait", "--json-stream", cwd=tmp_path)
    events = [json.loads(line) for line in streamed.stdout.splitlines()]
    assert [event["event"] for event in events[-2:]] == ["summary", "error"]
    assert (events[-1]["type"], events[-1]["exit_code"]) == ("StudyError", 1)
