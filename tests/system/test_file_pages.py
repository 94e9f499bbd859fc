"""A run whose file lies in huge pages says so."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.kernel import needs_collapse
from support.paths import ROOT

CONFIG = """
[study]
name = "pages"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "16MiB"
file_pages = ["auto", "small"]
[stop]
target = "50%"
replicates = 2
min_generations = 2
max_time = "2s"
"""


@pytest.mark.serial
@needs_collapse
def test_the_result_says_how_much_of_the_file_lies_in_huge_pages(tmp_path):
    """Every generation's record has the share, the summary its mean, and the long report names it for each point."""
    (tmp_path / "pages.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "zcload", "run", "pages.toml", "--no-wait", "--no-progress", "--no-html", "--full", "--out", "r"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    shares = {point["point"]["file_pages"]: point["file_huge_share"] for point in summary["points"]}
    assert shares["huge"] > 0.5  # memory may be too scattered for some
    assert shares["huge"] >= shares["small"]
    lines = [json.loads(line) for line in (tmp_path / "r" / "windows.jsonl").read_text().splitlines()]
    assert all(0 <= line["file_huge_share"] <= 1 for line in lines if line["kind"] == "generation")
    assert f"{100 * shares['huge']:.0f} % in huge pages" in " ".join(done.stdout.split())
