"""The section "Two hosts" of the README, followed word for word as root in a mount and network namespace of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = [pytest.mark.serial, pytest.mark.slow, pytest.mark.timeout(300)]


def section():
    """Return the lines of the README that the test follows."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- two hosts: a test follows these lines -->\n\n(.*?)\n## ", text, re.DOTALL)
    return "\n".join(line.removeprefix("    ") for line in block[1].splitlines())


def test_the_two_hosts_of_the_readme_give_a_report(tmp_path):
    """The lines of the README, one after another in a shell, end with a report and leave no process and no namespace."""
    # Namespaces of their own: the names and addresses of the README may be taken, and all of it ends with the shell.
    own = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    ]
    script = "set -e\nmount -t tmpfs none /run\n" + re.sub(
        # The scheduler and the workers need a moment, which a reader's hands take.
        r"\n\n(ip netns exec tx zcload cluster check (\S+))",
        r"\nuntil ip netns exec tx zcload cluster check \2 >ready 2>&1; do sleep 1; done\n\1",
        section(),
    ).replace("--time 20s", "--time 3s --no-wait --no-progress --no-html")
    if subprocess.run([*own, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces of one's own here: run as root, or allow user namespaces")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin", "TERM": "dumb"}
    log = tmp_path / "log"
    with log.open("wb") as out:
        done = subprocess.run([*own, "sh", "-c", script], cwd=tmp_path, env=environment, stdout=out, stderr=out, timeout=280)
    said = log.read_text()
    assert done.returncode == 0, said
    assert "tx-1 -> rx-1" in said
    assert "sendfile" in said.partition("result: ")[2]
    assert "ended the scheduler and 2 workers" in said
