"""The man page that `make man` writes: whole, and a page that man takes without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from support.paths import ROOT
from typer.main import get_command

from zcload.cli.app import app


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the page as `make man` writes it."""
    file = tmp_path_factory.mktemp("man") / "zcload.1"
    subprocess.run([sys.executable, ".ci/man.py", str(file)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return file


def all_commands(group, before=""):
    """Return each command by its whole name, "cluster keys"."""
    found = {}
    for name, command in group.commands.items():
        if not command.hidden:
            found |= all_commands(command, f"{before}{name} ") if hasattr(command, "commands") else {f"{before}{name}": command}
    return found


def test_every_command_and_option_is_in_it(page):
    """Each command has its heading, and under it each of its options and arguments with its help."""
    sections = page.read_text().replace(r"\-", "-").split(".SS zcload ")
    commands = all_commands(get_command(app))
    assert len(commands) == len(sections) - 1
    for section, (heading, command) in zip(sections[1:], commands.items(), strict=True):
        assert section.split("\n")[0].startswith(heading)
        for parameter in command.params:
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            for name in names:
                assert name in section, (command.name, name)
            assert " ".join(parameter.help.split()) in section.replace(r"\&", "")


def test_man_takes_it(page):
    """mandoc or groff, where there is one, reads the page without a warning and prints every option whole."""
    if shutil.which("mandoc"):
        command = ["mandoc", "-T", "utf8", "-O", "width=200", "-W", "warning", "-K", "utf-8", str(page)]
    elif shutil.which("groff"):
        command = ["groff", "-man", "-ww", "-T", "utf8", "-P", "-c", "-rLL=200n", str(page)]
    else:
        pytest.skip("neither mandoc nor groff is installed (apt install mandoc)")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(".\b", "", done.stdout).replace("\u2010", "-").replace("\u2212", "-")
    for command in all_commands(get_command(app)).values():
        for parameter in command.params:
            assert all(name in shown for name in parameter.opts if name.startswith("--"))
