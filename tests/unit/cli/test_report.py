"""How a report is printed: in colour and as wide as the terminal where there is one, plain elsewhere."""

from __future__ import annotations

import io
import os
import sys

import pytest
from support.fake_results import example_summary

from zcload.cli.report import print_report
from zcload.store.reader import Result


class Terminal(io.StringIO):
    """A terminal of so many columns."""

    def isatty(self):
        return True


@pytest.fixture
def result():
    return Result(example_summary())


@pytest.mark.parametrize("full", [False, True])
def test_a_terminal_has_colour(full, result, monkeypatch):
    """On a terminal verdicts have a colour, and without it the text is what a pipe gets at that width."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    print_report([result], full)
    assert "\x1b[32msaves\x1b[0m" in shown.getvalue()


def test_no_color_is_respected(result, monkeypatch):
    """With NO_COLOR a terminal gets no colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    print_report([result])
    assert "\x1b[3" not in shown.getvalue()


def test_a_pipe_gets_plain_text(result, capsys):
    """Without a terminal the short report is plain text of 80 columns, whatever COLUMNS says."""
    os.environ.pop("COLUMNS", None)
    print_report([result])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
