"""Read results of other tools from their own output. They are shown below a report and never compared."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.printable import one_line
from zcload.model.records.values import ImportedRecord
from zcload.model.regular_file import read_regular
from zcload.report.imported.iperf3 import read_iperf3
from zcload.report.imported.netperf import read_netperf
from zcload.report.imported.result import ImportedResult, NotOurs

READERS: dict[str, Callable[[str], ImportedResult]] = {"iperf3 -J": read_iperf3, "netperf": read_netperf}
MOST_BYTES = 64 << 20
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_imported(path: Path) -> ImportedRecord:
    """Return what the file *path* says, whichever tool wrote it, as a row of a report; raises ConfigError."""
    try:
        text = _text(read_regular(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(f"cannot be read: {reason_of(error)}", file=str(path), key="--with")) from None
    for reader in READERS.values():
        try:
            return reader(text).as_record(path.stem)
        except NotOurs:
            continue
        except ValueError as error:
            raise ConfigError(Problem(one_line(str(error)), file=str(path), key="--with")) from None
    raise ConfigError(Problem(f"is the output of no tool that is known ({', '.join(READERS)})", file=str(path), key="--with"))


def _text(content: bytes) -> str:
    """Return *content* as text: in the encoding that its byte-order mark names, else UTF-8, bytes that are none replaced."""
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding, errors="replace")
