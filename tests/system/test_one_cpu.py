"""zcload where it may use one CPU only: the default placement runs there, and the result says which it was."""

from __future__ import annotations

import json
import os

import pytest
from support.command_line import zcload

pytestmark = [pytest.mark.serial, pytest.mark.slow]

CONFIG = """
[study]
name = "one"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "8MiB"
[stop]
max_time = "2s"
min_generations = 2
replicates = 1
window = "20ms"
"""


def test_the_default_placement_runs_on_one_cpu(tmp_path):
    """On one CPU the default placement is "same": result and full report say so, and `placement = "spread"` is refused there."""
    (tmp_path / "one.toml").write_text(CONFIG)
    cpu = min(os.sched_getaffinity(0))

    def run(*options):
        return zcload(
            "run",
            "one.toml",
            "--no-wait",
            "--no-progress",
            "--no-html",
            *options,
            cwd=tmp_path,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )

    done = run("--out", "r", "--full")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["points"][0]["point"]["placement"] == "same"
    assert summary["config"]["workload"]["placement"] == "auto"
    assert "one_cpu" in {found["code"] for found in summary["cautions"]}
    assert "placement same (auto)" in done.stdout
    refused = run("--set", "workload.placement=spread")
    assert refused.returncode == 2
    assert 'placement "spread" needs two CPUs' in refused.stderr
