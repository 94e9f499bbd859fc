"""Read results of other tools from their own output. They are shown below a report and never compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.records.values import ImportedRecord
from zcload.report.imported.iperf3 import read_iperf3
from zcload.report.imported.netperf import read_netperf
from zcload.report.imported.result import ImportedResult, NotOurs

READERS: dict[str, Callable[[str], ImportedResult]] = {"iperf3 -J": read_iperf3, "netperf": read_netperf}


def read_imported(path: Path) -> ImportedRecord:
    """Return what the file *path* says, whichever tool wrote it, as a row of a report; raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(Problem(reason_of(error), file=str(path), key="--with")) from None
    for reader in READERS.values():
        try:
            return reader(text).record(path.stem)
        except NotOurs:
            continue
        except (KeyError, TypeError, IndexError, ValueError, json.JSONDecodeError) as error:
            what = str(error) if type(error) is ValueError else f"is damaged or of a version that is not known: {error!r}"
            raise ConfigError(Problem(what, file=str(path), key="--with")) from None
    raise ConfigError(Problem(f"is the output of no tool that is known ({', '.join(READERS)})", file=str(path), key="--with"))
