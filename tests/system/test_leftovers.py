"""Nothing of a server outlives its run: not its children when the supervisor is killed, not its files when everything is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from support.command_line import run_of, zcload
from support.paths import SUPPORT
from support.processes import MARK, command_of, marked, wait_until
from support.server_lanes import RANGES, server_lanes

from zcload.errors import StudyError
from zcload.server import leftovers, root
from zcload.server.cgroup import GroupClock, enter_group, hold_new_group, kill_group, left_groups, make_group, remove_group
from zcload.server.root import DocumentRoot
from zcload.server.session import Session

# A server whose first process forks one that serves, and one that leaves its session, as daemons do.
FAMILY = ("sh", "-c", '"$0" "$@" & setsid sleep 600 & wait', *RANGES)

STUDY = """
[study]
name = "killed"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "1MiB"
placement = "free"
[stop]
max_time = "60s"
target = "0.01%"
replicates = 2
window = "20ms"
[[variant]]
name = "served"
kind = "server"
command = ["sh", "-c", '"$0" "$@" & wait', "{{python}}", "{program}", "{{port}}", "{{root}}"]
"""


@pytest.mark.serial
def test_a_killed_supervisor_takes_its_server_along():
    """When a supervisor is killed, its server's first process, the children of that and those in sessions of their own are killed too."""
    with server_lanes(1 << 20) as bring_up:
        lane = bring_up(FAMILY)
        running = lane.serving.running
        pids = [process.pid for process in lane.serving.tree.members()]
        assert len(pids) == 3
        base = running._output.parent.parent
        os.kill(running._supervisor.pid, signal.SIGKILL)
        assert wait_until(lambda: lane.failure() is not None, 60)
        assert "supervisor 0" in str(lane.failure())
        assert "killed by SIGKILL" in str(lane.failure())
        lane.tear_down()
        assert wait_until(lambda: not any(map(psutil.pid_exists, pids)), 60)
        assert sorted(os.listdir(base)) == ["root"]


@pytest.mark.serial
def test_a_supervisor_killed_before_it_tells_of_its_server(tmp_path, monkeypatch):
    """A supervisor that dies between starting the server and telling so leaves nothing: the server notes its session itself."""
    told, coordinator = Session.of, os.getpid()

    def killed(pid, group):
        if pid != os.getpid() != coordinator:
            time.sleep(0.3)  # until the server has children
            os.kill(os.getpid(), signal.SIGKILL)
        return told(pid, group)

    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setattr(Session, "of", killed)
    with server_lanes(1 << 20) as bring_up:
        with pytest.raises(StudyError, match=r"supervisor 0 .*killed by SIGKILL"):
            bring_up(FAMILY)
        assert wait_until(lambda: not marked(tmp_path), 60)


def test_a_held_control_group_is_nobodys_leftover():
    """An empty group is left alone as long as its supervisor lives, whatever other runs can see of its files; then it is left over."""
    name = f"zcload-{os.getpid():016x}-server-1"
    found = hold_new_group(name)
    if found is None:
        pytest.skip("no control group (v2) may be made here: run the tests as root on a host that mounts cgroup2")
    group, held = found
    try:
        assert list(left_groups(re.compile(name))) == []
        os.close(held)
        assert list(left_groups(re.compile(name))) == [group]
    finally:
        remove_group(group)


@pytest.mark.serial
def members(group):
    """Return the processes of a control group; none where it is gone: another zcload on this machine clears groups that nobody holds."""
    try:
        return (group / "cgroup.procs").read_text().split()
    except OSError:
        return []


def test_a_control_group_kills_what_leaves_its_session():
    """cgroup.kill ends all processes of a group, those that have left session and parent too, and its clock has counted their time."""
    group = make_group(f"zcload-{os.getpid():016x}-server-2")
    if group is None:
        pytest.skip("no control group (v2) may be made here: run the tests as root on a host that mounts cgroup2")
    try:
        clock = GroupClock(group)
        busy = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nwhile True: time.process_time()"
        started = [sys.executable, "-c", busy]
        subprocess.run(started, preexec_fn=lambda: enter_group(group), check=True)
        assert wait_until(lambda: clock.cpu_ns() > 20_000_000, 60)
        assert (group / "cgroup.procs").read_text().split()
        kill_group(group)
        assert wait_until(lambda: not members(group), 60)
        clock.close()
    finally:
        kill_group(group)
        assert wait_until(lambda: remove_group(group) or not group.exists(), 60)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Have document roots made in a directory of this test's own."""
    made = tmp_path / "place"
    made.mkdir()
    monkeypatch.setattr(root, "place_of_roots", lambda: str(made))
    return made


def test_what_a_living_run_owns_is_left_alone(place):
    """Only a folder that nobody holds the lock of is cleared; a living run's stays, and a folder of another name too."""
    living = DocumentRoot()
    (place / "zcload-0123456789abcdef").mkdir()
    (place / "zcload-mine").mkdir()
    (place / "zcload-fedcba9876543210").symlink_to(place / "zcload-mine")
    assert [each.path.name for each in leftovers.leftovers([place])] == ["zcload-0123456789abcdef"]
    assert [each.path.name for each in leftovers.clear([place])] == ["zcload-0123456789abcdef"]
    assert living.root.is_dir()
    assert (place / "zcload-mine").is_dir()
    living.close()
    assert leftovers.leftovers([place]) == []


def test_a_folder_that_is_being_made_is_left_alone(place):
    """A draft without its lock is somebody's for a minute."""
    (place / ".zcload-0123456789abcdef").mkdir()
    assert leftovers.leftovers([place]) == []
    then = time.time() - 120
    os.utime(place / ".zcload-0123456789abcdef", (then, then))
    assert [each.path.name for each in leftovers.clear([place])] == [".zcload-0123456789abcdef"]


@pytest.mark.slow
@pytest.mark.alone
def test_what_kill_9_of_everything_leaves_is_cleared(tmp_path):
    """After SIGKILL of every process but the server's, `zcload clean` ends the server and removes the files; a second one finds nothing."""
    (tmp_path / "study.toml").write_text(STUDY.format(program=SUPPORT / "range_server.py"))
    environment = {**os.environ, MARK: str(tmp_path)}
    command = run_of("study.toml", "r")
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def serving():
        return [each for each in marked(tmp_path) if "range_server" in command_of(each)]

    windows = tmp_path / "r" / "windows.jsonl"
    try:
        assert wait_until(lambda: windows.exists() and b'"kind":"window"' in windows.read_bytes() and serving(), 60)
        ours = [each for each in marked(tmp_path) if each not in serving() and "zcload" in command_of(each)]
        for each in ours:
            each.suspend()
        for each in ours:
            each.kill()
    finally:
        process.kill()
        process.wait()
    assert wait_until(lambda: len(marked(tmp_path)) == len(serving()), 60)
    first = zcload("clean", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "files of a run with servers" in first.stdout
    assert wait_until(lambda: not marked(tmp_path), 60)
    assert "files of a run" not in zcload("clean", "--dry-run", cwd=tmp_path).stdout
