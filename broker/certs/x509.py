"""Certificates of a deployment: an authority of our own and the leaves that it signs.

Nothing here touches files or clocks. A leaf's common name is the identity on the wire, which the
broker takes as user name; its organisational unit is the role, from which access rules follow.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CertificateRole = Literal["broker", "cloud", "edge", "plvn", "watcher"]
AUTHORITY_DAYS = 3650
BACKDATED = timedelta(hours=1)
"""How far a clock may be behind ours and still take a new certificate."""
ORGANIZATION = "twintier"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Names under which every broker's certificate is good."""
_SIGNS_ONLY = {
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for."""

    identity: str
    role: CertificateRole
    hosts: tuple[str, ...] = ()
    """DNS names and addresses; brokers only."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as text."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The private key as text, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def new_authority(now: datetime) -> Issued:
    """A new certificate authority; each has a name of its own, so that two may be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"twintier CA {serial:040x}"[:28], "ca")
    certificate = (
        _builder(name, name, key.public_key(), serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Issued(certificate, key)


def issue(authority: Issued, subject: Subject, now: datetime, days: int) -> Issued:
    """A certificate for a subject with a fresh key; it never outlives the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority.certificate
    last = min(now + timedelta(days=days), signer.not_valid_after_utc)
    is_server = subject.role == "broker"
    use = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
    own_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    name = _name(subject.identity, subject.role)
    builder = (
        _builder(name, signer.subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(last)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(own_key, critical=False)
        .add_extension(signed_by, critical=False)
    )
    if is_server:
        builder = builder.add_extension(_alternative_names(subject.hosts), critical=False)
    return Issued(builder.sign(authority.key, hashes.SHA256()), key)


def subject_of(certificate: x509.Certificate) -> Subject | None:
    """Whom one of our leaves is for; None for what is none of ours."""
    identity = _attribute(certificate, NameOID.COMMON_NAME)
    match _attribute(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME):
        case "broker":
            return Subject(identity, "broker", _hosts(certificate))
        case "cloud" | "edge" | "plvn" | "watcher" as role:
            return Subject(identity, role)
        case _:
            return None


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority's key has signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001  # each kind of mismatch raises an error of its own
        return False
    return True


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, serial: int
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(issuer, subject, key, serial)


def _name(identity: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, identity),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **_SIGNS_ONLY,
    )


def _alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(h) for h in (*LOCAL_HOSTS, *hosts)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names that were asked for, beside those that every broker has."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [*found.get_values_for_type(x509.DNSName)]
    names += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return tuple(name for name in names if name not in LOCAL_HOSTS)


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""
