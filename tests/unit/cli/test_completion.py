"""What the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zcload.cli import completion
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
        ("report --section mi", ["missing"]),
    ],
)
def test_values_of_options_are_completed(words, offered):
    """Bash's completion offers the values of an address, of a key to sweep and of a report's section."""
    line = f"zcload {words}"
    shell = {"_ZCLOAD_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "zcload"], env={**os.environ, **shell}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.split() == offered


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
    environment = {**os.environ, "_ZCLOAD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run([sys.executable, "-m", "zcload"], env=environment, capture_output=True, text=True, check=False, cwd=directory)
    return done.stdout.split()
