"""`zcload mechanisms` and `zcload doctor`: what this host can run, and what disturbs measurements on it."""

from __future__ import annotations

from collections.abc import Mapping


def show_mechanisms(as_json: bool) -> None:
    """List mechanisms and sinks, and whether this host can run them."""
    import json

    from zcload.mechanisms import MECHANISMS, RELAYS, Mechanism, Unavailable
    from zcload.sinks import SINKS, Sink

    parts: tuple[tuple[str, str, Mapping[str, type[Mechanism] | type[Sink]]], ...] = (
        ("mechanisms", "Mechanisms (senders)", MECHANISMS),
        ("relays", "Relays (between sender and receiver)", RELAYS),
        ("sinks", "Sinks (receivers)", SINKS),
    )
    found = {part: {name: (cls.summary, cls.probe()) for name, cls in registry.items()} for part, _, registry in parts}
    found["mechanisms"] |= {
        name: ("refused: it breaks the contract of a mechanism", Unavailable(broken.what, broken.remedy))
        for name, broken in MECHANISMS.refused().items()
    }
    if as_json:
        tree = {
            part: [
                {"name": name, "summary": summary, "runs": why is None, "reason": why and why.reason, "remedy": why and why.remedy}
                for name, (summary, why) in probed.items()
            ]
            for part, probed in found.items()
        }
        print(json.dumps(tree, indent=1))
        return
    for part, title, _ in parts:
        rows = []
        for name, (summary, why) in found[part].items():
            rows.append([name, "yes" if why is None else "no", summary])
            if why is not None:
                rows.append(["", "", why.reason + (f"; remedy: {why.remedy}" if why.remedy else "")])
        print(f"{title}\n\n{_in_columns(rows, ['name', 'runs here', 'what it does'])}\n")


def _in_columns(rows: list[list[str]], headers: list[str]) -> str:
    """Draw *rows* in the terminal's width, the last column wrapped."""
    from tabulate import tabulate

    from zcload.cli.report import terminal_width
    from zcload.report.text.wrapping import WIDTH

    others = sum(max(len(headers[place]) + 2, *(len(row[place]) for row in rows)) + 2 for place in range(len(headers) - 1))
    wide = [*[None] * (len(headers) - 1), max(30, (terminal_width() or WIDTH) - others)]
    return tabulate(rows, headers, tablefmt="simple", maxcolwidths=wide, break_long_words=False, break_on_hyphens=False)


def show_doctor(as_json: bool, strict: bool) -> None:
    """Check the host and print what was found, problems first; raises GateTripped if *strict* and something spoils measurements.

    Without *strict* the exit code is 0 whatever was found: findings are not failures.
    """
    import json
    import textwrap

    from zcload.errors import GateTripped
    from zcload.host.doctor import findings, measure_copying
    from zcload.server.leftovers import leftovers

    order = ("problem", "caution", "note", "ok")
    found = sorted(findings(copying=measure_copying()), key=lambda finding: order.index(finding.level))
    left = leftovers()
    bad = [finding for finding in found if finding.level in order[:2]]
    if as_json:
        keys = ("code", "level", "title", "value", "spoils", "remedy")
        tree = {"findings": [{key: getattr(finding, key) for key in keys} for finding in found], "leftovers": list(map(str, left))}
        print(json.dumps(tree, indent=1))
    else:
        width = max(len(finding.title) for finding in found)
        for finding in found:
            print(f"{finding.level:<8} {finding.title:<{width}}  {finding.value}{finding.private}")
            if finding.level != "ok":
                for label, text in (("spoils", finding.spoils), ("remedy", finding.remedy)):
                    print(textwrap.fill(f"{label}: {text}", 100, initial_indent=" " * 9, subsequent_indent=" " * 17))
        all_fine = f"All {len(found)} checks are fine."
        print(f"\n{len(bad)} of {len(found)} checks found something that disturbs measurements here." if bad else f"\n{all_fine}")
        if left:
            print("\nLeft by runs that were killed (`zcload clean` removes it):", *left, sep="\n  ")
    if strict and bad:
        raise GateTripped(f"doctor --strict: {', '.join(finding.code for finding in bad)}")
