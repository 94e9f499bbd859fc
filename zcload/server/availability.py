"""Can this host run a server: its program, what its `check` says, openssl for TLS, the process to attach to?"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys

from zcload.errors import MechanismUnavailableError, StudyError, reason_of
from zcload.linux.certificate import no_openssl
from zcload.model.placeholders import fill, held
from zcload.model.study import Server
from zcload.server.hidden_values import values_to_hide, without_values
from zcload.server.running import RunningServer

CHECK_S = 10.0  # longest time that a check may take
_passed: set[tuple[tuple[str, ...], frozenset[tuple[str, str]]]] = set()  # command and environment: every point of a study asks again


def missing(name: str, server: Server) -> MechanismUnavailableError | None:
    """Return why this host cannot run *server*, with the remedy; None if it can be tried."""
    if server.attach is not None:
        return _cannot_attach(name, server)
    if server.tls and (reason := no_openssl()) is not None:
        return MechanismUnavailableError(name, *reason)
    if server.http2 and importlib.util.find_spec("h2") is None:
        return MechanismUnavailableError(name, "HTTP/2 needs the package h2", "pip install 'zcload[http2]'")
    remedy = server.install or f"install it, or name it with its whole path in the command of variant {name}"
    program = server.command[0]
    if "{" not in program and not shutil.which(program, path=server.environment.get("PATH")):
        return MechanismUnavailableError(name, f"{program}: command not found", remedy)
    if server.check and (said := _failed_check(server)) is not None:
        return MechanismUnavailableError(name, said, server.install or f"run the check of variant {name} in a shell to see why")
    return None


def _cannot_attach(name: str, server: Server) -> MechanismUnavailableError | None:
    running = RunningServer(name, server, server.port)
    try:
        running.attach()
    except StudyError as error:
        return MechanismUnavailableError(name, str(error), "attach takes the pid of a server that runs")
    finally:
        running.stop()
    return None


def _failed_check(server: Server) -> str | None:
    """Run a server's check and return how it failed, with its last line of output; None if it ended with status 0.

    It has the server's environment variables, except those that hold what only the start knows, such as {dir}.
    """
    values = {"python": sys.executable}
    command = [fill(word, values) for word in server.check]
    variables = {name: fill(text, values) for name, text in server.environment.items() if held(text) <= values.keys()}
    asked = (tuple(command), frozenset(variables.items()))
    if asked in _passed:
        return None
    what = f"its check `{shlex.join(command)}`"
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CHECK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{what} took more than {CHECK_S:g} s"
    except OSError as error:
        return f"{what} could not be started: {reason_of(error)}"
    if done.returncode == 0:
        _passed.add(asked)
        return None
    lines = done.stdout.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    last = without_values(last, values_to_hide(server, variables))
    how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with status {done.returncode}"
    return f"{what} {how}; it said: {last[:200]}"
