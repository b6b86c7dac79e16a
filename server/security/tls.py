"""TLS that follows its files: a changed certificate, key or root counts from the next connection on."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from radimpress.reports.errors import ConfigError, RadimpressError
from radimpress.reports.files import stamp
from radimpress.server.security.files import read_file

_log = structlog.get_logger()


def server_credentials(certificate: Path, key: Path, client_roots: Path | None = None) -> grpc.ServerCredentials:
    """The server's credentials, which look at their files whenever a client connects.

    Files that cannot be used, or do not belong together (as while one of them is already changed and the
    other is not yet), are logged once and change nothing. Connections that stand are not touched.

    Args:
        certificate: PEM, the server's own first, then the chain.
        key: PEM, not encrypted.
        client_roots: PEM; clients must show a certificate that one of these signed.

    Raises:
        NotFoundError: a file is not there.
        ConfigError: a file holds no such thing, or the key is not the certificate's.
    """
    files = _Files(certificate, key, client_roots)
    return grpc.dynamic_ssl_server_credentials(files.read(), files.changed, client_roots is not None)  # type: ignore[arg-type]


class _Files:
    def __init__(self, certificate: Path, key: Path, client_roots: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._roots = client_roots
        self._lock = Lock()
        self._seen: list[tuple[int, int, int, int] | None] = []

    def read(self) -> grpc.ServerCertificateConfiguration:
        """The files as they are, checked."""
        # Looked at before they are read: what changes in between is seen the next time.
        self._seen = self._stamps()
        certificate, key = read_file(self._certificate), read_file(self._key)
        until = _check_pair(self._certificate, certificate, self._key, key)
        roots = None
        if self._roots is not None:
            roots = read_file(self._roots)
            _certificates(self._roots, roots)
        _log.info("tls_read", certificate=self._certificate.name, until=until, client_roots=roots is not None)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], roots)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC, on a thread of its own, for every new connection; None changes nothing."""
        with self._lock:
            if self._stamps() == self._seen:
                return None
            try:
                return self.read()
            except RadimpressError as error:
                _log.error("tls_not_read", kind=type(error).__name__, problem=str(error))
                return None

    def _stamps(self) -> list[tuple[int, int, int, int] | None]:
        return [stamp(path) for path in (self._certificate, self._key, self._roots) if path is not None]


def _check_pair(where: Path, certificate: bytes, key_path: Path, key: bytes) -> str:
    """Raises ConfigError unless the key is the first certificate's; gives the end of its validity."""
    first = _certificates(where, certificate)[0]
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        mine = load_pem_private_key(key, None).public_key().public_bytes(*form)
        its = first.public_key().public_bytes(*form)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{key_path}: is no PEM key that can be read ({type(error).__name__})") from None
    if mine != its:
        raise ConfigError(f"{key_path}: is not the key of {where}")
    return first.not_valid_after_utc.isoformat()


def _certificates(where: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{where}: holds no PEM certificate that can be read ({type(error).__name__})") from None
