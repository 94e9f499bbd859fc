"""The commands that show what is there: reports, mechanisms, the host, the shipped configs, the schemas."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.errors import ConfigError, Problem

if TYPE_CHECKING:
    from zcload.store.reader import Result


def show_report(results: list[Path], format: str, out: Path | None, charts: list[str], others: list[Path]) -> None:
    """Render *results* as *format* to stdout or *out*, for svg and png into the directory *out*; raises ConfigError.

    *others* are outputs of other tools, shown below the last result.
    """
    from dataclasses import replace

    from zcload.cli.output_files import PICTURES, say_what_is_missing, write_charts
    from zcload.report import FORMATS, renderer
    from zcload.report.imported import read_imported, table
    from zcload.store.reader import Result

    if format not in (*FORMATS, *PICTURES):
        raise ConfigError(Problem(f"{format!r} is not a format", key="--format", remedy=f"use {', '.join((*FORMATS, *PICTURES))}"))
    if charts and format not in PICTURES:
        raise ConfigError(Problem("picks charts, and these are drawn as svg or png", key="--chart", remedy="add --format svg"))
    if others and format not in table.FORMATS:
        raise ConfigError(Problem(f"is not shown in the format {format}", key="--with", remedy=f"use {', '.join(table.FORMATS)}"))
    if format in PICTURES:
        write_charts([Result.load(result) for result in results], format, out, charts)
        return
    loaded = [Result.load(result) for result in results]
    if others:
        last = loaded[-1]
        loaded[-1] = replace(last, summary={**last.summary, "imported": [read_imported(other) for other in others]})
    text = for_terminal(loaded) if format == "table" and out is None else renderer(format)(loaded)
    if format == "html":
        say_what_is_missing()
    put(text, out)


def put(text: str, out: Path | None) -> None:
    """Write *text* to stdout, or to the file *out*; raises ConfigError."""
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {out}: {(error.strerror or str(error)).lower()}", key="--out")) from None


def for_terminal(results: Sequence[Result]) -> str:
    """Return the report as a table, with the curve where stdout is a terminal that is wide enough."""
    import shutil

    from zcload.report.formats.terminal import render

    return render(results, shutil.get_terminal_size().columns if sys.stdout.isatty() else 0)


def show_mechanisms() -> None:
    """List the registries with what probing says."""
    from tabulate import tabulate

    from zcload.mechanisms import MECHANISMS
    from zcload.sinks import SINKS

    for title, registry in (("Mechanisms (senders)", MECHANISMS), ("Sinks (receivers)", SINKS)):
        rows = []
        for name, cls in registry.items():
            why = cls.probe()
            rows.append([name, "yes" if why is None else "no", cls.summary])
            if why is not None:
                rows.append(["", "", f"{why.reason}" + (f"; remedy: {why.remedy}" if why.remedy else "")])
        print(f"{title}\n\n{tabulate(rows, ['name', 'runs here', 'what it does'], tablefmt='simple')}\n")


def show_doctor() -> None:
    """Check the host and print what was found, problems first; exit code 0 whatever it is: findings are not failures."""
    import textwrap

    from zcload.host.doctor import findings

    order = ("problem", "caution", "note", "ok")
    found = sorted(findings(), key=lambda finding: order.index(finding.level))
    width = max(len(finding.title) for finding in found)
    for finding in found:
        print(f"{finding.level:<8} {finding.title:<{width}}  {finding.value}{finding.private}")
        if finding.level != "ok":
            for label, text in (("spoils", finding.spoils), ("remedy", finding.remedy)):
                print(textwrap.fill(f"{label}: {text}", 100, initial_indent=" " * 9, subsequent_indent=" " * 17))
    bad = sum(finding.level in order[:2] for finding in found)
    print(
        f"\n{bad} of {len(found)} checks found something that spoils measurements here." if bad else f"\nAll {len(found)} checks are fine."
    )


def config_directory() -> Path:
    """Return where the shipped configs are: in the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent.parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """Return the shipped configs by name (with the folder, for those in one)."""
    folder = config_directory()
    return {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*")) if path.suffix in (".toml", ".yaml")}


def write_config(name: str | None, list_only: bool) -> None:
    """Write the shipped config *name* into the current directory, or list all; raises ConfigError."""
    import difflib

    configs = shipped_configs()
    if list_only:
        width = max(map(len, configs))
        for each, path in configs.items():
            print(f"{each:<{width}}  {_first_comment(path)}")
        return
    name = name or "smoke"
    if name not in configs:
        near = difflib.get_close_matches(name, configs, n=1)
        raise ConfigError(
            Problem(f"there is no shipped config {name!r}", remedy=f"did you mean {near[0]!r}?" if near else "see `zcload init --list`")
        )
    target = Path(configs[name].name)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(configs[name].read_text(encoding="utf-8"))
    except FileExistsError:
        raise ConfigError(
            Problem(f"{target} exists already and is left as it is", remedy="rename it, or work in another directory")
        ) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {target}: {(error.strerror or str(error)).lower()}")) from None
    print(f"wrote {target}; run it with: zcload run {target}")


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and "schema" not in line:
            return line[2:]
    return ""


def show_schema(result: bool) -> None:
    """Print the JSON Schema of the config, or of summary.json."""
    import json

    if result:
        from zcload.analysis.summary_schema import summary_schema

        json.dump(summary_schema(), sys.stdout, indent=1)
    else:
        from zcload.config import json_schema

        json.dump(json_schema(), sys.stdout, indent=1)
    print()
