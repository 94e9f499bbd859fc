"""`zcload clean`: remove what killed runs have left."""

from __future__ import annotations


def clean(dry_run: bool) -> None:
    """Remove what runs of this user have left that were killed with SIGKILL, and end the servers that they have left; print it."""
    from zcload.server.leftovers import clear, leftovers

    found = leftovers() if dry_run else clear()
    for each in found:
        print(f"{'would remove' if dry_run else 'removed'} {each}")
    if not found:
        print("Nothing is left of killed runs.")
