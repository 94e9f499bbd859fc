"""What the shell completes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from support.paths import ROOT
from typer.main import get_command

from zcload.cli import completion
from zcload.cli.app import app
from zcload.config.shipped import shipped_configs
from zcload.mechanisms import MECHANISMS, RELAYS
from zcload.model.metrics import METRICS
from zcload.report import FORMATS


def test_every_name_is_completed():
    """Nothing typed completes to every mechanism, config, format and metric."""
    assert completion.mechanisms("") == [*MECHANISMS, *RELAYS]
    assert completion.configs("") == list(shipped_configs())
    assert set(FORMATS) < set(completion.formats(""))
    assert completion.metrics("") == list(METRICS)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("receive ", ["0.0.0.0", "127.0.0.1", ":10000"]),
        ("crossover --sweep ch", ["chunk"]),
        ("crossover read_se", ["read_send"]),
        ("report --section mi", ["missing"]),
        ("report --chart sav", ["savings", "savings-best-chunk"]),
        ("run smoke --fail-if goodput", ["goodput_bps"]),
        ("run smoke --set workload.chu", ["workload.chunk="]),
        ("compare a --format m", ["markdown"]),
        ("compare a --allow cpu", ["cpu_model", "cpus_allowed"]),
        ("compare a --allow chu", ["chunk"]),
        ("compare a --fail-if goodput", ["goodput_bps"]),
        ("history --by ", ["date", "kernel"]),
        ("history --format ", ["table", "json"]),
        ("history --variant sendf", ["sendfile"]),
        ("cluster check smok", ["smoke"]),
    ],
)
def test_values_of_options_are_completed(words, offered, tmp_path):
    """Bash's completion offers the values of each argument and option that has a known set of them."""
    assert completed(f"zcload {words}", tmp_path) == offered


# Paths, which the shell completes itself, and text that only the user knows.
FREE = {"--out", "--file", "--save", "--with", "--mechanism", "--keys", "--keys-there", "--python"}
FREE |= {"--chunk", "--senders", "--rate", "--size", "--from", "--to", "--time", "--max-time", "--precision", "--margin", "--run-spread"}
FREE |= {"--cluster", "--scheduler", "--study", "--point"}
FREE |= {"file", "address of send", "hosts", "directory of keys"}


def parameters(group, *words):
    """Yield the words of each command in the help and each of its parameters that takes text."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from parameters(command, *words, name)
        elif not command.hidden:
            yield from ((" ".join((*words, name)), each) for each in command.params if takes_text(each))


def takes_text(parameter):
    """Say whether a parameter takes text: not if it is a flag, takes a number, or only ends the command."""
    return parameter.type_descriptor.annotation not in (int, float, bool) and not getattr(parameter, "is_flag", False)


def test_every_parameter_completes_or_is_free_text():
    """Each argument and option that takes text completes it, unless it is a path, a quantity, or a name that only the user knows."""
    without = {
        option if option.startswith("--") else name if name in FREE else f"{name} of {command.rpartition(' ')[2]}"
        for command, each in parameters(get_command(app))
        if each._custom_shell_complete is None
        for option, name in [(each.opts[-1], each.name)]
    }
    assert without <= FREE


def test_a_gate_completes_its_metric():
    """In a gate the metric is completed, after the variant too."""
    assert completion.gates("goodput") == ["goodput_bps"]
    assert completion.gates("sendfile: goodput") == ["sendfile: goodput_bps"]


def test_charts_are_those_that_are_drawn():
    """`zcload report --chart` offers the name of every kind of chart, as the code that draws it has it."""
    texts = [path.read_text() for path in (ROOT / "zcload/report/charts").glob("*.py")]
    named = {name for text in texts for part in re.findall(r"Chart\(\s*(\"[^,]+),", text) for name in re.findall(r"\"([a-z-]+)\"", part)}
    assert set(completion.charts("")) == named


def test_a_list_of_mechanisms_completes_its_last():
    """After a comma the last mechanism is completed, the others stay."""
    assert completion.mechanisms("read_send,sendf") == ["read_send,sendfile"]


def test_a_study_is_a_file_a_result_or_a_name(tmp_path, monkeypatch):
    """`zcload run` completes configs and results of the directory, then shipped configs and mechanisms."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sm.toml").touch()
    (tmp_path / "sm.bin").touch()
    (tmp_path / "smr").mkdir()
    (tmp_path / "smr" / "windows.jsonl").touch()
    (tmp_path / "smd").mkdir()
    assert completion.studies("sm") == ["sm.toml", "smd/", "smr", "small-files", "smoke"]
    assert set(completion.studies("ngin")) == {"servers/nginx", "servers/nginx-rate"}


def test_results_and_directories_are_completed(tmp_path, monkeypatch):
    """`zcload report` and `zcload compare` complete results and what may hold them, `zcload history` directories."""
    monkeypatch.chdir(tmp_path)
    for name in ("ra", "rb", "rc"):
        (tmp_path / name).mkdir()
    (tmp_path / "ra" / "windows.jsonl").touch()
    (tmp_path / "rb" / "summary.json").touch()
    (tmp_path / "rd.json").touch()
    (tmp_path / "re.toml").touch()
    assert completion.results("r") == ["ra", "rb", "rc/", "rd.json"]
    assert completion.directories("r") == ["rc/"]
    assert completion.results("ra/") == ["ra/windows.jsonl"]


@pytest.mark.parametrize("words", ["zcload report res", "zcload compare res", "zcload compare x --new res", "zcload history res"])
def test_the_shell_gets_results(words, tmp_path):
    """Bash's completion offers the directories where results are, for every command that reads them."""
    (tmp_path / "results").mkdir()
    assert "results/" in completed(words, tmp_path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("zcload send f --via sendf", "sendfile"), ("zcload run smo", "smoke"), ("zcload report r --format open", "openmetrics")],
)
def test_the_shell_gets_the_names(words, expected, tmp_path):
    """Bash's completion of the command offers the names."""
    assert expected in completed(words, tmp_path)


def completed(words, directory):
    """Return what bash offers for the last of *words*, typed in *directory*."""
    environment = {**os.environ, "_ZCLOAD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "zcload"], env=environment, capture_output=True, text=True, timeout=300, check=False, cwd=directory
    )
    return done.stdout.split()
