"""Ed25519 keys of those whose words must be proved: made as PEM files, and read again."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from twintier.broker.errors import CertificateError

SIGN_KEY = ".sign.key"
"""Ending of a signing key's file, after the identity."""
SIGN_PUB = ".sign.pub"
"""Ending of the file of the public half."""


def new_signing_files() -> tuple[bytes, bytes]:
    """A new key: its private half (PKCS 8) and its public half, each as PEM."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return secret, public


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file such as `cloud.sign.key`.

    Raises:
        CertificateError: if it cannot be read or is of another kind.
    """
    try:
        key = load_pem_private_key(_content(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(_wrong(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CertificateError(_wrong(path))
    return key


def load_verify_key(path: Path) -> bytes:
    """The 32 raw bytes of the public key in a file such as `cloud.sign.pub`.

    Raises:
        CertificateError: if it cannot be read or is of another kind.
    """
    try:
        key = load_pem_public_key(_content(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(_wrong(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise CertificateError(_wrong(path))
    return key.public_bytes_raw()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"cannot read {path}: {error.strerror}; copy it from the folder that "
            "`twintier certs create` made"
        ) from error


def _wrong(path: Path) -> str:
    return (
        f"{path} holds no Ed25519 key as PEM; copy it again from the folder that "
        "`twintier certs create` made"
    )
