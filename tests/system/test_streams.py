"""Output to streams that are closed, full, without a reader, non-blocking or of a small character set: nothing measured is lost for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support.fake_results import example_summary
from support.paths import CONFIGS
from support.stream_states import STATES, run_with

from zcload.report import FORMATS
from zcload.store.writer import write_summary

SMALL = ["--set", "workload.file_size=8MiB", "--max-time", "1s", "--no-wait", "--replicates", "1"]
NAME = "größe ± 5 µs"
ENCODED = ("ascii", "koi8-r")  # states in which runs and demos print as `zcload report` does
LOST = b"zcload: error: stdout: no space left on device: the output is not complete\n"
COMMANDS = {
    "help": ["--help"],
    "schema": ["schema", "--result"],
    "configs": ["init", "--list"],
    "report": ["report", "r", "--full"],
    "csv": ["report", "r", "--format", "csv"],
    "compare": ["compare", "r", "--new", "r"],
    "history": ["history", "."],
    "doctor": ["doctor"],
    "plan": ["run", CONFIGS / "smoke.toml", "--plan"],
    "error": ["report", "absent"],
}
USUAL = ("full", "koi8-r")  # states in which every command is tried; nightly in all, as a report and an error always are
CASES = [
    pytest.param(name, state, marks=() if name in ("report", "error") or state in USUAL else pytest.mark.nightly)
    for name in COMMANDS
    for state in STATES
]


def result(folder):
    """Store a result whose names are not ASCII in *folder*."""
    folder.mkdir()
    write_summary(folder, {**example_summary(), "name": NAME})


@pytest.mark.parametrize(("name", "state"), CASES)
def test_every_command_says_or_survives(tmp_path, name, state):
    """No command ends with a traceback for its stdout; where the output was lost it says so and exits with 1, else as ever."""
    result(tmp_path / "r")
    code, out, err = run_with(COMMANDS[name], state, cwd=tmp_path, stderr=False)
    expected = 2 if name == "error" else 0
    assert b"Traceback" not in err
    if state == "full" and name != "error":
        assert (code, err[-len(LOST) :]) == (1, LOST)
        return
    assert code == expected, err
    if state in ("closed", "without a reader"):
        assert out == b""
    elif name == "report":
        text = out.decode(state if state in ("ascii", "koi8-r") else "utf-8")
        assert {"ascii": r"gr\xf6\xdfe +- 5 us", "koi8-r": r"gr\xf6\xdfe +- 5 us"}.get(state, NAME) in text


@pytest.mark.parametrize("state", [state for state in STATES if state not in ENCODED])
@pytest.mark.parametrize("name", ["report", "error"])
def test_stderr_changes_no_exit_code(tmp_path, name, state):
    """A stderr that takes nothing changes neither the exit code nor what stdout gets."""
    result(tmp_path / "r")
    code, out, err = run_with(COMMANDS[name], state, cwd=tmp_path, stdout=False)
    assert b"Traceback" not in err
    assert (code, NAME in out.decode()) == ((2, False) if name == "error" else (0, True))


def some(states):
    """Return all states as parameters; those that are not among *states* are nightly."""
    return [pytest.param(state, marks=() if state in states else pytest.mark.nightly) for state in STATES]


@pytest.mark.serial
@pytest.mark.parametrize("state", some([state for state in STATES if state not in ENCODED]))
def test_a_measurement_outlives_its_streams(tmp_path, state):
    """A run whose stdout and stderr both fail measures to its end and stores a complete result with its page."""
    code, _, err = run_with(["run", CONFIGS / "smoke.toml", *SMALL, "--out", "r"], state, cwd=tmp_path)
    assert code == (1 if state == "full" else 0), err
    assert json.loads((tmp_path / "r/summary.json").read_text())["complete"]
    assert (tmp_path / "r/report.html").exists()


@pytest.mark.serial
def test_a_reader_that_leaves_in_the_middle(tmp_path):
    """A run whose progress lines lose their reader after the first one (`2>&1 >/dev/null | head -1`) measures to its end."""
    command = [sys.executable, "-m", "zcload", "run", "--no-wait", CONFIGS / "smoke.toml", *SMALL, "--out", "r"]
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline()
    process.stderr.close()
    assert process.wait(120) == 0
    assert json.loads((tmp_path / "r/summary.json").read_text())["complete"]


@pytest.mark.serial
@pytest.mark.parametrize("state", some(["full", "without a reader"]))
def test_a_transfer_outlives_its_streams(tmp_path, state):
    """The demo, whose transfers are over when it prints, ends as ever; only a full stdout makes it exit with 1."""
    code, _, err = run_with(["demo", "--size", "1MB", "--rounds", "1"], state, cwd=tmp_path)
    assert code == (1 if state == "full" else 0), err


EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\x08\u202etxt.exe\r"


def evil(tree):
    """Return *tree* with every text that is shown and not looked up made evil."""
    if isinstance(tree, dict):
        keep = ("schema", "started", "status", "verdict", "unit", "metric", "code", "level", "variant", "baseline", "mechanism", "headline")
        return {key: value if key in keep else evil(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [evil(each) for each in tree]
    return tree + EVIL if isinstance(tree, str) and tree not in ("copy", "sendfile") else tree


def safe(text):
    """Say whether *text* has no character that a terminal obeys."""
    return not any(mark in text for mark in "\x1b\x07\x9b\x7f\x08\u202e\r")


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_passes_terminal_escapes_on(tmp_path, format):
    """Escapes in a stored result reach neither the terminal nor the file of any format; the text around them does."""
    folder = tmp_path / "r"
    folder.mkdir()
    summary = example_summary()
    write_summary(folder, {**summary, "name": summary["name"] + EVIL, "environment": evil(summary["environment"])})
    for out in ([], ["--out", "file"]):
        code, said, err = run_with(["report", "r", "--format", format, *out], "usual", cwd=tmp_path)
        if format in ("csv-windows", "benchstat"):  # they need windows
            assert code == 2
        else:
            assert code == 0, err
        text = ((tmp_path / "file").read_bytes() if out and not code else said).decode()
        assert safe(text), [part for part in text.split("\n") if not safe(part)]
        assert safe(err.decode())


@pytest.mark.parametrize("command", [["history", "."], ["compare", "r", "--new", "r"], ["report", "r\x1b[2J"]])
def test_no_command_passes_terminal_escapes_on(tmp_path, command):
    """Nor do the other commands that show stored text or the names of files, in errors too."""
    folder = tmp_path / "r"
    folder.mkdir()
    summary = example_summary()
    write_summary(folder, {**summary, "name": summary["name"] + EVIL, "environment": evil(summary["environment"])})
    code, out, err = run_with(command, "usual", cwd=tmp_path)
    assert code in (0, 2)
    assert b"Traceback" not in err
    assert safe((out + err).decode())
