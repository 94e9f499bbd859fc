"""How the bytes are verified without being timed: in a second pass over a connection of its own.

When a stream has ended, `zcload receive` answers with one line of JSON: what it counted and timed, and a token. `zcload send` then
connects again, sends the token and the file once more through the same mechanism, and gets the SHA-256 of what arrived. A sender
that is another program ignores the answer, and its bytes are counted only; a receiver that is another program gives none.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

PROTOCOL = "zcload.receive/1"
ANSWER_LIMIT = 4096  # bytes: an answer is one line far below it
TOKEN_BYTES = 32


def new_token() -> bytes:
    """Return what the second pass begins with: nobody who has not been told can guess it."""
    return secrets.token_hex(TOKEN_BYTES // 2).encode()


def answer(**facts: Any) -> bytes:
    """Return the receiver's line."""
    return json.dumps({"zcload": PROTOCOL, **facts}).encode() + b"\n"


def read_answer(line: bytes) -> dict[str, Any] | None:
    """Return the facts of a receiver's line; None for what another program has said."""
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) and facts.get("zcload") == PROTOCOL else None


def token_in(facts: dict[str, Any]) -> bytes | None:
    """Return the token that a receiver has sent, if it offers a second pass."""
    token = facts.get("verify_with")
    return token.encode() if isinstance(token, str) and len(token) == TOKEN_BYTES and token.isascii() else None
