"""An example of a package that adds a mechanism to zcload: sendfile by another name, so its figures must be those of sendfile."""

from __future__ import annotations

from zcload.mechanisms.sendfile import Sendfile


class WrappedSendfile(Sendfile):
    """Send as the built-in mechanism does."""

    name = "wrapped_sendfile"
    summary = "the built-in sendfile from an installed package"
