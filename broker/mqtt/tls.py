"""TLS on the client's side: which files, and the context made from them at every connection.

Made afresh each time, so that files which were rotated are taken up at the next reconnect.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from twintier.broker.errors import CertificateError, UnavailableError

AUTHORITIES = "ca.pem"
"""File of trusted authorities in a folder of certificates: one, or two in a rotation."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Whom a client trusts, and how it shows who it is."""

    authorities: Path
    """PEM bundle; it alone is trusted, not the system's store."""
    certificate: Path
    key: Path


def tls_files(folder: Path, identity: str) -> TlsFiles:
    """The files of an identity in a folder that `twintier certs` made.

    Raises:
        CertificateError: if one is missing.
    """
    files = TlsFiles(folder / AUTHORITIES, folder / f"{identity}.pem", folder / f"{identity}.key")
    for path in (files.authorities, files.certificate, files.key):
        if not path.is_file():
            raise CertificateError(
                f"{path} is missing, which {identity!r} needs for TLS; make it with "
                "`twintier certs create` or `twintier certs add`, and copy it here"
            )
    return files


def client_context(files: TlsFiles | None) -> ssl.SSLContext:
    """A context that checks the broker's name; without files it trusts the system's authorities.

    Raises:
        UnavailableError: if the files cannot be used now; in the midst of a rotation they may be
            usable a moment later.
    """
    try:
        if files is None:
            context = ssl.create_default_context()
        else:
            context = ssl.create_default_context(cafile=str(files.authorities))
            # a password is given so that an encrypted key fails, and asks nobody at a terminal
            context.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        name = "the system's authorities" if files is None else str(files.certificate)
        raise UnavailableError(f"cannot use {name} for TLS: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
