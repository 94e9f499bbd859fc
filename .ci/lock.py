"""Write the locks: exact versions and hashes, and no address.

requirements.lock has all that zcload needs to run, to be tested and to be built; .ci/servers.lock the Python servers that the presets
in configs/servers are tested with, which live in an environment of their own. One resolution each covers every Python and every
machine that pyproject.toml allows. Versions that are in a lock stay while they fit; `--upgrade` takes the newest,
`--upgrade-package NAME` one of them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
HEADER = "# What zcload needs to run, to be tested and to be built. Written by `make lock`, not by hand.\n"
SERVERS_LOCK = ROOT / ".ci" / "servers.lock"
SERVERS_HEADER = "# The Python servers that the presets are tested with. Written by `make lock`, not by hand.\n"
EXTRAS = ("report", "cluster", "dev")
SERVERS = ("aiohttp", "fastapi", "flask", "granian", "gunicorn", "starlette", "uvicorn")
# All that a line may be. Anything else, an address or a path above all, is refused.
LINE = re.compile(
    r"#[ \w`.,]*"
    r"|[a-z0-9-]+==[A-Za-z0-9.!+]+( ; [\w '.<>=!()]+)? \\"  # name, version, marker
    r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


def resolve(folder: Path, old: Path, sources: list[str | Path], requires: str, options: list[str]) -> str:
    """Resolve *sources* and the lines of *requires* with the uv in *folder* and return the lock's text, keeping what fits of *old*."""
    environment = dict(os.environ)
    if "PIP_INDEX_URL" in environment:  # uv has its own names for pip's settings
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    if "PIP_CERT" in environment:
        environment.setdefault("SSL_CERT_FILE", environment["PIP_CERT"])

    lock = folder / old.name
    if old.exists():
        shutil.copy(old, lock)  # uv keeps the versions it finds in its output
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    command = [folder / "venv" / "bin" / "python", "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--generate-hashes", "--universal"]
    command += ["--python-version", project["project"]["requires-python"].removeprefix(">="), *options]
    command += ["--output-file", lock, *sources, "-"]
    subprocess.run(command, input=requires, text=True, stdout=subprocess.DEVNULL, check=True, cwd=folder, env=environment)
    return lock.read_text()


def main(options: list[str]) -> None:
    """Write the locks, or leave them as they are and say why."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = "\n".join(project["build-system"]["requires"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            venv.create(folder / "venv", with_pip=True)
            subprocess.run([folder / "venv" / "bin" / "python", "-m", "pip", "install", "-qq", "uv>=0.13"], check=True)
            extras = [option for extra in EXTRAS for option in ("--extra", extra)]
            texts = {
                LOCK: HEADER + resolve(folder, LOCK, [ROOT / "pyproject.toml"], build, [*extras, *options]),
                SERVERS_LOCK: SERVERS_HEADER + resolve(folder, SERVERS_LOCK, [], "\n".join(SERVERS), options),
            }
        except subprocess.CalledProcessError as error:
            sys.exit(f"zcload: the locks are unchanged: {error.cmd[2]} failed, see above")
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if not LINE.fullmatch(line):
                sys.exit(f"zcload: the locks are unchanged: line {number} of {path.name} would be neither version nor hash: {line}")
    for path, text in texts.items():
        path.write_text(text)
        packages = sum(line[0].isalnum() for line in text.splitlines())
        print(f"{path.relative_to(ROOT)}: {packages} packages, {text.count('--hash=')} hashes")


if __name__ == "__main__":
    main(sys.argv[1:])
