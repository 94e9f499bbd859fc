"""A file that somebody changes during `zcload run`, and a user who may pin next to nothing: seen through the whole program."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time

import pytest
from support.command_line import run_of

import zcload
from zcload.analysis.zerocopy_check import NOT_ZERO_COPY
from zcload.mechanisms import MECHANISMS

SIZE = 8 << 20
VARIANTS = [name for name, cls in MECHANISMS.items() if cls.moves_payload and cls.probe() is None]
STUDY = """
[study]
name = "changed"
baseline = "read_send"
variants = {variants}
best_chunk = false
[workload]
file = "{file}"
chunk = "{chunk}"
[stop]
max_time = "{seconds}s"
min_generations = 2
replicates = 1
window = "5ms"
"""

pytestmark = pytest.mark.serial


def command(tmp_path, variants, chunk="64KiB", seconds=30):
    """Write a study over a file of incompressible bytes and return the command that runs it."""
    file, config = tmp_path / "served", tmp_path / "study.toml"
    file.write_bytes(os.urandom(SIZE))
    config.write_text(STUDY.format(variants=json.dumps(variants), file=file, chunk=chunk, seconds=seconds))
    return run_of(config, tmp_path / "out", "--json")


def truncate(path):
    os.truncate(path, SIZE // 2 + 100)


def empty(path):
    os.truncate(path, 0)


def rewrite(path):
    with open(path, "r+b") as file:
        file.write(os.urandom(SIZE))


COPIES, ZERO_COPY = VARIANTS[:5], ["read_send", *VARIANTS[5:]]
CASES = [
    pytest.param(truncate, "its size went", COPIES, id="truncate-copies-and-pages"),
    pytest.param(truncate, "its size went", ZERO_COPY, id="truncate-zero-copy-and-io_uring", marks=pytest.mark.nightly),
    pytest.param(empty, "its size went", COPIES, id="empty-copies-and-pages", marks=pytest.mark.nightly),
    pytest.param(empty, "its size went", ZERO_COPY, id="empty-zero-copy-and-io_uring"),
    pytest.param(rewrite, "it was written to", COPIES, id="rewrite-copies-and-pages"),
    pytest.param(rewrite, "it was written to", ZERO_COPY, id="rewrite-zero-copy-and-io_uring"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("deed", "what", "variants"), CASES)
def test_a_file_that_is_changed_ends_the_run_by_its_name(deed, what, variants, tmp_path):
    """Truncated, emptied or rewritten in mid-run, the file is named as the cause, exit code 1, no signal, and what was measured is kept."""
    run = subprocess.Popen(command(tmp_path, variants), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    windows = tmp_path / "out" / "windows.jsonl"
    deadline = time.monotonic() + 60
    try:
        while run.poll() is None and time.monotonic() < deadline:
            if windows.exists() and '"purpose": "measure"' in windows.read_text().replace('":"', '": "'):
                break
            time.sleep(0.05)
        assert run.poll() is None, run.communicate()[1]
        deed(tmp_path / "served")
        out, err = run.communicate(timeout=300)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 1, err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("zcload: error:")]
    assert str(tmp_path / "served") in line
    assert what in line or "the file ended at byte" in line
    summary = json.loads(out)
    assert not summary["complete"]
    assert "signal" not in json.dumps(summary["cautions"]).lower()


@pytest.mark.slow
def test_a_user_who_may_pin_nothing_gets_copies_and_is_told(tmp_path, in_child):
    """Under a limit of locked memory below a chunk the sends go as plain copies: verified, counted, labelled, and cautioned."""
    if os.geteuid():
        pytest.skip("only root can become a user with no locked memory in use (run the tests as root)")
    study = {
        "study": {"name": "pinned", "baseline": "read_send", "variants": ["read_send", "msg_zerocopy"], "best_chunk": False},
        "workload": {"file_size": "8MiB", "chunk": "1MiB"},
        "stop": {"max_time": "1s", "min_generations": 2, "replicates": 1, "window": "5ms"},
    }

    def limited():
        zcload.run(study, out=tmp_path / "root")  # whatever is imported late is imported now: the user may not read this installation
        user = tmp_path / "user"
        user.mkdir(mode=0o777)
        os.chdir(user)
        os.chmod(user, 0o777)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (256 << 10, 256 << 10))
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return dict(zcload.run(study, out="result").summary)

    summary = in_child(limited)
    variant = summary["points"][0]["variants"][1]
    truth = variant["truth"]
    assert variant["verified"]
    assert variant["bytes_sent"] == variant["bytes_received"] > 0
    assert truth["fallback_sends"] > 0
    assert truth["enobufs"] == 2 * truth["fallback_sends"]
    assert truth["fallback_fraction"] == 1.0
    assert truth["label"] == NOT_ZERO_COPY
    assert "copied" in {c["code"] for c in summary["cautions"]}
