"""`zcload mechanisms` and `zcload doctor` for programs."""

from __future__ import annotations

import json

import pytest
from support.command_line import invoke

from zcload.host import doctor
from zcload.mechanisms import MECHANISMS
from zcload.sinks import SINKS


def test_mechanisms_as_json(capsys):
    """`zcload mechanisms --json` has every mechanism and sink, and a reason for each that cannot run here."""
    tree = json.loads(invoke(capsys, "mechanisms", "--json").out)
    assert [each["name"] for each in tree["mechanisms"]] == list(MECHANISMS)
    assert [each["name"] for each in tree["sinks"]] == list(SINKS)
    assert all(each["runs"] == (each["reason"] is None) for each in (*tree["mechanisms"], *tree["sinks"]))


def finding(level):
    return doctor.HostFinding(f"a_{level}", level, "Title", "value", "what it spoils", "remedy", private=" secret")


@pytest.mark.parametrize(
    ("levels", "strict", "code"),
    [(("ok", "note"), True, 0), (("ok", "caution"), True, 3), (("problem",), True, 3), (("problem",), False, 0)],
)
def test_doctor_is_a_gate_only_when_asked(levels, strict, code, capsys, monkeypatch):
    """`zcload doctor` ends with 0 whatever it finds, with --strict with 3 if something spoils measurements."""
    monkeypatch.setattr(doctor, "measure_copying", lambda: None)
    monkeypatch.setattr(doctor, "findings", lambda copying: [finding(level) for level in levels])
    done = invoke(capsys, "doctor", *(["--strict"] if strict else []))
    assert done.code == code
    assert ("zcload: error: doctor --strict: a_" in done.err) == bool(code)


def test_doctor_as_json(capsys, monkeypatch):
    """`zcload doctor --json` has the findings, problems first, without what is for this host's user alone."""
    monkeypatch.setattr(doctor, "measure_copying", lambda: None)
    monkeypatch.setattr(doctor, "findings", lambda copying: [finding("ok"), finding("problem")])
    done = invoke(capsys, "doctor", "--json")
    assert [each["level"] for each in json.loads(done.out)["findings"]] == ["problem", "ok"]
    assert "secret" not in done.out


@pytest.mark.parametrize("command", [("mechanisms",), ("init", "--list")])
def test_lists_fit_a_pipe_of_80_columns(command, capsys):
    """Where stdout is no terminal, lists of mechanisms and configs are wrapped at 80 columns, and no word is cut."""
    lines = invoke(capsys, *command).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {"sendfile" in line for line in lines} == {True, False}
    summaries = " ".join(cls.summary for cls in MECHANISMS.values()) if command == ("mechanisms",) else "intervals"
    assert set(summaries.split()) <= set(" ".join(lines).split()) | {"intervals"}
