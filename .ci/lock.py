"""Write requirements.lock: exact versions and hashes of all that zcload needs to run, to be tested and to be built, and no address.

One resolution covers every Python and every machine that pyproject.toml allows. Versions that are in the lock stay while they fit;
`--upgrade` takes the newest, `--upgrade-package NAME` one of them.
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
# All that a line may be. Anything else, an address or a path above all, is refused.
LINE = re.compile(
    r"#[ \w`.,]*"
    r"|[a-z0-9-]+==[A-Za-z0-9.!+]+( ; [\w '.<>=!()]+)? \\"  # name, version, marker
    r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


def resolve(folder: Path, options: list[str]) -> str:
    """Resolve pyproject.toml with uv, installed into *folder*, and return the lock's text."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-qq", "uv>=0.13"], check=True)

    environment = dict(os.environ)
    if "PIP_INDEX_URL" in environment:  # uv has its own names for pip's settings
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    if "PIP_CERT" in environment:
        environment.setdefault("SSL_CERT_FILE", environment["PIP_CERT"])

    lock = folder / "requirements.lock"
    if LOCK.exists():
        shutil.copy(LOCK, lock)  # uv keeps the versions it finds in its output
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    command = [python, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--universal"]
    command += [
        "--python-version",
        project["project"]["requires-python"].removeprefix(">="),
        "--extra",
        "report",
        "--extra",
        "dev",
        *options,
    ]
    command += ["--output-file", lock, ROOT / "pyproject.toml", "-"]
    requires = "\n".join(project["build-system"]["requires"])
    subprocess.run(command, input=requires, text=True, stdout=subprocess.DEVNULL, check=True, cwd=folder, env=environment)
    return HEADER + lock.read_text()


def main(options: list[str]) -> None:
    """Write the lock, or leave it as it is and say why."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            text = resolve(Path(folder), options)
        except subprocess.CalledProcessError as error:
            sys.exit(f"zcload: requirements.lock is unchanged: {error.cmd[2]} failed, see above")
    for number, line in enumerate(text.splitlines(), start=1):
        if not LINE.fullmatch(line):
            sys.exit(f"zcload: requirements.lock is unchanged: its line {number} would be neither a version nor a hash: {line}")
    LOCK.write_text(text)
    packages = sum(line[0].isalnum() for line in text.splitlines())
    print(f"requirements.lock: {packages} packages, {text.count('--hash=')} hashes")


if __name__ == "__main__":
    main(sys.argv[1:])
