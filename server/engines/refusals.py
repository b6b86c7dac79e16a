"""What every engine refuses a request with, in the same words."""

from __future__ import annotations

from radimpress.reports.errors import InputError

CLOSED = "the engine is closed"
LATE_WAITING = "the deadline passed while the request waited"
LATE_WRITING = "the deadline passed before the impression was complete"


def check_room(tokens: int, room: int, model: str = "the base model") -> None:
    """Whether a prompt fits.

    Args:
        tokens: of the prompt.
        room: tokens that it may have.
        model: what has that room.

    Raises:
        InputError: it does not fit.
    """
    if tokens > room:
        raise InputError("findings", f"make {tokens} tokens; {model} has room for {room}")
