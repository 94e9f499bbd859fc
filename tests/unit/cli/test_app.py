"""The help of the commands."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from zcload.cli.app import app


@pytest.mark.parametrize(
    "command", [[], *[[name] for name in get_command(app).commands]], ids=lambda words: words[0] if words else "zcload"
)
def test_help_fits_into_80_columns(command):
    """The help of every command fits into a terminal of 80 columns."""
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert [line for line in shown.stdout.splitlines() if len(line) > 80] == []
