"""Ed25519 signatures (RFC 8032) by `cryptography`, over canonical JSON with what it is said in front.

Keys are PEM files, as `openssl genpkey -algorithm ed25519 -out gate.pem` and
`openssl pkey -in gate.pem -pubout -out gate.pub` make them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.reports.files import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def load_private(path: Path) -> Ed25519PrivateKey:
    """Reads a private key; it may not be encrypted.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it holds no Ed25519 key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _load(path, lambda data: load_pem_private_key(data, None))
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: holds no Ed25519 private key")
    return key


def load_public(paths: Iterable[Path]) -> frozenset[str]:
    """Reads public keys, each 32 bytes in hex, as signatures name them.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it holds no Ed25519 public key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    keys = set()
    for path in paths:
        key = _load(path, load_pem_public_key)
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(f"{path}: holds no Ed25519 public key")
        keys.add(key.public_bytes_raw().hex())
    return frozenset(keys)


def public_of(key: Ed25519PrivateKey) -> str:
    """The public key in hex."""
    return key.public_key().public_bytes_raw().hex()


def sign(kind: str, value: Any, key: Ed25519PrivateKey) -> str:
    """The signature, in hex, of a value of this kind."""
    return key.sign(_message(kind, value)).hex()


def verified(kind: str, value: Any, signer: str, signature: str) -> bool:
    """Whether `signature` is the signer's, over this value of this kind."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(
            bytes.fromhex(signature), _message(kind, value)
        )
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _message(kind: str, value: Any) -> bytes:
    # What is signed as one kind can never be shown as another.
    return f"radimpress {kind}\n".encode() + canonical(value)


def _load(path: Path, read: Any) -> object:
    try:
        key: object = read(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(f"{path}: is no PEM key that can be read ({type(error).__name__})") from None
    return key
