"""Commands in a stored result are shown and confirmed before anything of them runs."""

from __future__ import annotations

import sys
from io import StringIO

import pytest
from support.command_line import invoke
from support.fake_results import header, lane

from zcload.cli.stored_commands import confirm_stored_commands, stored_commands
from zcload.errors import ConfigError
from zcload.store.writer import Recorder


@pytest.fixture
def planted(tmp_path):
    """Return a stored result whose command, check and mechanism would leave a file behind, and that file."""
    trace = tmp_path / "executed"
    (tmp_path / "evil.py").write_text(f"open({str(trace)!r}, 'w')\n")
    first = header([lane("copy"), lane("sendfile")])
    touch = ["touch", str(trace)]
    first["config"] = {
        "study": {"name": "s", "baseline": "read_send", "variants": ["read_send"]},
        "variant": [
            {"name": "s\x1b[2J", "kind": "server", "command": touch, "check": touch},
            {"name": "mine", "mechanism": f"{tmp_path / 'evil.py'}:Evil"},
        ],
    }
    Recorder(tmp_path / "r", first).close()
    return tmp_path / "r", trace


def test_without_a_terminal_nothing_is_executed(planted, capsys):
    """Where nobody can be asked, the run is refused with --yes as the remedy, and what it would execute is shown without escapes."""
    result, trace = planted
    done = invoke(capsys, "run", result)
    assert done.code == 2
    assert f"  s\\x1b[2J: touch {trace}" in done.err
    assert f"check: touch {trace}" in done.err
    assert "the Python code in" in done.err
    assert "\x1b" not in done.err
    assert done.err.splitlines()[-1].endswith("no terminal to ask at (read them above, then add --yes)")
    assert not trace.exists()


def test_a_plan_asks_before_it_runs_checks_and_imports_mechanisms(planted, capsys):
    """--plan starts no server, but it runs checks and imports mechanisms: it shows those alone and needs the same yes."""
    result, trace = planted
    done = invoke(capsys, "run", result, "--plan")
    assert done.code == 2
    assert f"check: touch {trace}" in done.err
    assert "the Python code in" in done.err
    assert f"  s\\x1b[2J: touch {trace}" not in done.err
    assert done.err.splitlines()[-1].endswith("no terminal to ask at (read them above, then add --yes)")
    assert not trace.exists()


@pytest.mark.parametrize(("answer", "runs"), [("y\n", True), ("yes\n", True), ("n\n", False), ("", False)])
def test_at_a_terminal_the_answer_decides(planted, monkeypatch, answer, runs):
    """Only y or yes executes; an empty answer does not."""
    terminal = StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    if runs:
        confirm_stored_commands(str(planted[0]), yes=False, plan_only=False)
        return
    with pytest.raises(ConfigError, match="not confirmed"):
        confirm_stored_commands(str(planted[0]), yes=False, plan_only=False)


@pytest.mark.parametrize("name", ["r", "r/windows.jsonl", "r/summary.json"])
def test_each_way_to_name_a_result_is_one(planted, name):
    """The directory and either of its files lead to the same commands."""
    assert len(list(stored_commands(planted[0].parent / name))) == 3


def test_a_stored_scheduler_is_asked_about(tmp_path):
    """A result of a cluster names its scheduler: whoever attaches to a scheduler executes what that answers."""
    first = header([lane("copy"), lane("sendfile")])
    first["config"] = {**first["config"], "cluster": {"scheduler": "tls://203.0.113.9:8786"}}
    Recorder(tmp_path / "r", first).close()
    assert ("cluster", "whatever the scheduler tls://203.0.113.9:8786 answers") in stored_commands(tmp_path / "r")


def test_what_executes_nothing_is_not_asked_about(tmp_path, capsys):
    """A result of zcload's own mechanisms, and a config, run without a question."""
    first = header([lane("copy"), lane("sendfile")])
    Recorder(tmp_path / "r", first).close()
    confirm_stored_commands(str(tmp_path / "r"), yes=False, plan_only=False)
    confirm_stored_commands("smoke", yes=False, plan_only=False)
    assert capsys.readouterr().err == ""
