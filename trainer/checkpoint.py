"""Where a fit stands, written whole, so that a killed fit goes on as if nothing had been."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from radimpress.reports.errors import ConfigError, ConflictError, DamageError
from radimpress.reports.files import write_atomic

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint in place of the one before; tensors, numbers, strings, lists and dicts only.

    Raises:
        ConfigError: it cannot be written (the disk is full, say); the one before stays as it was.
    """
    data = io.BytesIO()
    torch.save(state, data)
    try:
        write_atomic(folder / CHECKPOINT, data.getvalue())
    except OSError as error:
        raise ConfigError(
            f"{folder}: no checkpoint of step {state['step']} can be written ({error.strerror}); "
            "the one before it stays, and the same command goes on from there"
        ) from None


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint; None where there is none.

    Raises:
        DamageError: it is not what was written.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise DamageError(f"{path}: is no checkpoint; remove its folder to fit from the beginning") from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a folder for one fit; the system lets go of it however the process ends.

    Raises:
        ConflictError: another process fits into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConflictError(f"{folder}: another process fits adapters into it") from None
    try:
        yield
    finally:
        os.close(handle)
