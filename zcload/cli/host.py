"""`zcload mechanisms` and `zcload doctor`: what this host can run, and what spoils measurements on it."""

from __future__ import annotations


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
