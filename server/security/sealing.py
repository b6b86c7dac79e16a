"""Text at rest, sealed by AES-256-GCM (NIST SP 800-38D), with keys that can be changed.

A sealed text is a mark, the key's id (8 bytes), a nonce (12 bytes) and the ciphertext with its tag.
Nonces are random: make a new key before four thousand million texts are sealed by one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from radimpress.reports.errors import ConfigError, DamageError, SealedError
from radimpress.server.security.files import read_file

# No protobuf message, no JSON and no UTF-8 text of ours begins with a zero byte.
_MARK = b"\x00radseal1"
_ID = 8
_NONCE = 12
_TAG = 16
_KEY = 32


class Seal:
    """Seals and opens. The first key seals; any of them opens.

    Args:
        paths: key files, each what `make_key` gives. To change keys put the new one first, and keep the
            old ones for as long as texts are kept.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: there is none, or one is not such a key.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise ConfigError("sealing: no key is given")
        keys = [_load(path) for path in paths]
        self._ciphers = {_id(key): AESGCM(key) for key in keys}
        self._first = _id(keys[0])

    def seal(self, data: bytes, about: bytes = b"") -> bytes:
        """Seals a text; it can be opened only with the same `about`, which binds it to its place."""
        nonce = secrets.token_bytes(_NONCE)
        return _MARK + self._first + nonce + self._ciphers[self._first].encrypt(nonce, data, about)

    def open(self, data: bytes, about: bytes = b"") -> bytes:
        """Opens a sealed text; gives back unsealed text as it is, so that a key may be set later.

        Raises:
            DamageError: it was changed, or belongs to another place.
            SealedError: its key is not among those given.
        """
        if not is_sealed(data):
            return data
        head = len(_MARK) + _ID
        key, nonce, rest = data[len(_MARK) : head], data[head : head + _NONCE], data[head + _NONCE :]
        if len(rest) < _TAG:
            raise DamageError("a sealed text is cut short")
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise SealedError(f"feedback_keys: the key {key.hex()} is not among those given")
        try:
            return cipher.decrypt(nonce, rest, about)
        except InvalidTag:
            raise DamageError("a sealed text was changed, or belongs to another place") from None


def is_sealed(data: bytes) -> bool:
    """Whether `Seal.seal` made it."""
    return data.startswith(_MARK)


def make_key() -> str:
    """A new key, as its file holds it: 32 random bytes in base64, and a line feed."""
    return base64.b64encode(secrets.token_bytes(_KEY)).decode() + "\n"


def _id(key: bytes) -> bytes:
    return hashlib.sha256(b"radimpress seal " + key).digest()[:_ID]


def _load(path: Path) -> bytes:
    try:
        key = base64.b64decode(read_file(path).strip(), validate=True)
    except binascii.Error as error:
        raise ConfigError(f"{path}: is no sealing key ({type(error).__name__})") from None
    if len(key) != _KEY:
        raise ConfigError(f"{path}: is no sealing key of {_KEY} bytes in base64")
    return key
