"""The events of `zcload run --json-stream` beside progress: the error that ends the command."""

from __future__ import annotations

import json

import pytest
from support.command_line import invoke

from zcload.cli.json_stream import errors_as_events
from zcload.errors import GateTripped


def test_an_error_is_the_last_event(capsys):
    """An error is an event with its type, text and exit code, and is still the command's error."""
    with pytest.raises(GateTripped), errors_as_events(True):
        raise GateTripped("too slow")
    event = json.loads(capsys.readouterr().out)
    assert event == {"event": "error", "type": "GateTripped", "message": "too slow", "exit_code": 3}


def test_without_the_option_an_error_is_no_event(capsys):
    """stdout stays empty where no events were asked for."""
    with pytest.raises(GateTripped), errors_as_events(False):
        raise GateTripped("too slow")
    assert capsys.readouterr().out == ""


def test_a_wrong_config_is_an_event(capsys, tmp_path, monkeypatch):
    """A run that does not begin prints one event, the error, which stderr has as text."""
    monkeypatch.chdir(tmp_path)
    done = invoke(capsys, "run", "smoke", "--set", "stop.target=lots", "--json-stream")
    event = json.loads(done.out)
    assert (event["event"], event["type"], event["exit_code"], done.code) == ("error", "ConfigError", 2, 2)
    assert event["message"].splitlines()[0] in done.err


def test_one_json_object_and_a_stream_are_not_both_to_be_had(capsys, tmp_path, monkeypatch):
    """`--json` with `--json-stream` is refused before anything is done, and stdout stays empty."""
    monkeypatch.chdir(tmp_path)
    done = invoke(capsys, "run", "smoke", "--json", "--json-stream")
    assert (done.code, done.out) == (2, "")
    assert "--json-stream: cannot be combined with --json" in done.err
