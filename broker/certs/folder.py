"""A folder of certificates and keys: made, added to, rotated, read.

One folder holds a whole deployment: `ca.pem` and `ca.key`, `ID.pem` and `ID.key` for the broker and
each identity, and `ID.sign.key` and `ID.sign.pub` (Ed25519) for those who sign: the cloud twin its
grants, an edge server its orders. A machine needs `ca.pem` and the files of its own identities.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from twintier.broker.certs.private_files import make_folder, replace_files
from twintier.broker.certs.signing_keys import SIGN_KEY, SIGN_PUB, new_signing_files
from twintier.broker.certs.x509 import (
    CertificateRole,
    Issued,
    Subject,
    is_signed_by,
    issue,
    new_authority,
    pem,
    subject_of,
)
from twintier.broker.errors import CertificateError
from twintier.broker.mqtt.tls import AUTHORITIES
from twintier.protocol.errors import InvalidIdError
from twintier.protocol.ids import check_level

AUTHORITY_KEY = "ca.key"
BROKER = "broker"
CLOUD = "cloud"
MONITOR = "monitor"
"""The watcher that `twintier watch` and `status` are, unless told otherwise."""
RESERVED = frozenset({"ca", BROKER, CLOUD})
DEFAULT_DAYS = 365
SOON = timedelta(days=7)
T = TypeVar("T")
_HOST = re.compile(r"[A-Za-z0-9_:*]([A-Za-z0-9_.:-]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Identities:
    """Who is to get a certificate."""

    edges: Sequence[str] = ()
    plvns: Sequence[str] = ()
    watchers: Sequence[str] = ()

    def subjects(self) -> list[Subject]:
        """One for each.

        Raises:
            CertificateError: if an id may not stand in a topic, is reserved, or comes twice.
        """
        groups: Mapping[CertificateRole, Sequence[str]] = {
            "edge": self.edges,
            "plvn": self.plvns,
            "watcher": self.watchers,
        }
        subjects = [Subject(_checked(i), role) for role, ids in groups.items() for i in ids]
        names = [subject.identity.lower() for subject in subjects]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise CertificateError(
                f"{twice[0]!r} is named twice; ids must differ, whatever their role and case"
            )
        return subjects


@dataclass(frozen=True, slots=True)
class CertificateState:
    """One certificate as `twintier certs show` has it."""

    identity: str
    role: CertificateRole | str
    ends: datetime
    left: timedelta
    by_old_authority: bool

    @property
    def days_left(self) -> int:
        """Whole days; negative once it has ended."""
        return self.left // timedelta(days=1)

    @property
    def must_be_renewed(self) -> bool:
        """Whether it has ended or ends within seven days."""
        return self.left <= SOON


def create(
    folder: Path,
    identities: Identities,
    *,
    now: datetime,
    hosts: Sequence[str] = (),
    days: int = DEFAULT_DAYS,
    force: bool = False,
) -> list[str]:
    """Make a folder with a new authority; returns the identities.

    The cloud twin, the broker and the watcher `monitor` are always among them.

    Raises:
        CertificateError: if an id or host is refused, or the folder may not be replaced.
    """
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise CertificateError(f"{host!r} is no host name or address; give it without a port")
    watchers = dict.fromkeys([*identities.watchers, MONITOR])
    wanted = Identities(identities.edges, identities.plvns, [*watchers])
    everybody = [Subject(BROKER, "broker", tuple(hosts)), Subject(CLOUD, "cloud")]
    everybody += wanted.subjects()
    authority = new_authority(now)
    files = {AUTHORITIES: authority.certificate_pem, AUTHORITY_KEY: authority.key_pem}
    for subject in everybody:
        files |= _files(authority, subject, now, days) | _signing(subject)
    make_folder(folder, files, force=force)
    return [subject.identity for subject in everybody]


def add(
    folder: Path, identities: Identities, *, now: datetime, days: int = DEFAULT_DAYS
) -> list[str]:
    """Add identities under the same authority; returns them.

    Raises:
        CertificateError: if one is there already, or the authority's key is not.
    """
    authority = _authority(folder)
    here = {subject.identity.lower() for subject, _ in _leaves(folder)}
    subjects = identities.subjects()
    files: dict[str, bytes] = {}
    for subject in subjects:
        if subject.identity.lower() in here:
            raise CertificateError(
                f"{folder} has a certificate of {subject.identity!r}; renew it with "
                "`twintier certs rotate`"
            )
        files |= _files(authority, subject, now, days) | _signing(subject)
    replace_files(folder, files)
    return [subject.identity for subject in subjects]


def rotate(folder: Path, *, now: datetime, days: int | None = None) -> list[str]:
    """Replace every leaf and its key, by the newest authority; signing keys stay.

    Args:
        folder: of the deployment.
        now: the time.
        days: that they are good for; without it, as long as each was.

    Raises:
        CertificateError: if the authority's key is not there.
    """
    authority = _authority(folder)
    files: dict[str, bytes] = {}
    for subject, certificate in _leaves(folder):
        files |= _files(authority, subject, now, days or _lifetime_days(certificate))
    replace_files(folder, files)
    return [subject.identity for subject, _ in _leaves(folder)]


def rotate_authority(folder: Path, *, now: datetime) -> None:
    """Make a new authority and trust the old one beside it; leaves stay until `rotate`.

    Raises:
        CertificateError: if an older authority is still trusted, or the key is not there.
    """
    old = _authority(folder)
    if len(authorities(folder)) > 1:
        raise CertificateError(
            f"{folder / AUTHORITIES} still trusts an older authority; end that rotation first: "
            f"`twintier certs rotate {folder}`, then with --drop-old-ca"
        )
    fresh = new_authority(now)
    both = fresh.certificate_pem + old.certificate_pem
    replace_files(folder, {AUTHORITIES: both, AUTHORITY_KEY: fresh.key_pem})


def drop_old_authority(folder: Path) -> None:
    """Trust the newest authority only.

    Raises:
        CertificateError: if a leaf here is still by the old one, or there is no old one.
    """
    authority = _authority(folder).certificate
    if len(authorities(folder)) == 1:
        raise CertificateError(
            f"{folder / AUTHORITIES} trusts one authority only; --drop-old-ca ends a rotation "
            "that `twintier certs rotate --ca` has begun"
        )
    stale = [s.identity for s, leaf in _leaves(folder) if not is_signed_by(leaf, authority)]
    if stale:
        raise CertificateError(
            f"the certificates of {', '.join(stale)} are by the old authority; run "
            f"`twintier certs rotate {folder}` first"
        )
    replace_files(folder, {AUTHORITIES: pem(authority)})


def inspect(folder: Path, *, now: datetime) -> list[CertificateState]:
    """Every certificate of a folder, authorities first.

    Raises:
        CertificateError: if the folder cannot be read.
    """
    trusted = authorities(folder)
    states = []
    for number, certificate in enumerate(trusted):
        states.append(_state("ca", "ca", certificate, now, old=number > 0))
    for subject, leaf in _leaves(folder):
        old = not is_signed_by(leaf, trusted[0])
        states.append(_state(subject.identity, subject.role, leaf, now, old=old))
    return states


def leaf_state(folder: Path, identity: str, *, now: datetime) -> CertificateState:
    """The certificate of one identity.

    Raises:
        CertificateError: if it cannot be read.
    """
    leaf = _read(folder / f"{identity}.pem", x509.load_pem_x509_certificate)
    subject, trusted = subject_of(leaf), authorities(folder)
    role = "unknown" if subject is None else subject.role
    return _state(identity, role, leaf, now, old=not is_signed_by(leaf, trusted[0]))


def identities_of(folder: Path) -> Identities:
    """Whose certificates lie in a folder, beside the broker's and the cloud twin's.

    Raises:
        CertificateError: if the folder cannot be read.
    """
    named: dict[str, list[str]] = {}
    for subject, _ in _leaves(folder):
        named.setdefault(subject.role, []).append(subject.identity)
    return Identities(*(named.get(role, []) for role in ("edge", "plvn", "watcher")))


def authorities(folder: Path) -> list[x509.Certificate]:
    """The trusted authorities, newest first.

    Raises:
        CertificateError: if there is none.
    """
    return _read(folder / AUTHORITIES, x509.load_pem_x509_certificates)


def _checked(identity: str) -> str:
    try:
        check_level(identity)
    except InvalidIdError as error:
        raise CertificateError(str(error)) from error
    if identity.lower() in RESERVED:
        raise CertificateError(f"{identity!r} is the name of a part of its own; choose another id")
    return identity


def _files(authority: Issued, subject: Subject, now: datetime, days: int) -> dict[str, bytes]:
    issued = issue(authority, subject, now, days)
    name = subject.identity
    return {f"{name}.key": issued.key_pem, f"{name}.pem": issued.certificate_pem}


def _signing(subject: Subject) -> dict[str, bytes]:
    if subject.role not in {"cloud", "edge"}:
        return {}
    secret, public = new_signing_files()
    return {f"{subject.identity}{SIGN_KEY}": secret, f"{subject.identity}{SIGN_PUB}": public}


def _authority(folder: Path) -> Issued:
    path = folder / AUTHORITY_KEY
    key = _read(path, lambda content: load_pem_private_key(content, None))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        for certificate in authorities(folder):
            if certificate.public_key() == key.public_key():
                return Issued(certificate, key)
    raise CertificateError(
        f"{path} is not the key of an authority in {folder / AUTHORITIES}; restore both from one "
        "copy, or make another folder with `twintier certs create`"
    )


def _leaves(folder: Path) -> list[tuple[Subject, x509.Certificate]]:
    found = []
    for path in sorted(folder.glob("[!.]*.pem")):
        if path.name == AUTHORITIES:
            continue
        certificate = _read(path, x509.load_pem_x509_certificate)
        subject = subject_of(certificate)
        if subject is None or subject.identity != path.stem:
            raise CertificateError(
                f"{path} is not the certificate of {path.stem!r} that `twintier certs` makes; "
                "move it out of this folder"
            )
        found.append((subject, certificate))
    return found


def _state(
    identity: str, role: str, certificate: x509.Certificate, now: datetime, *, old: bool
) -> CertificateState:
    ends = certificate.not_valid_after_utc
    return CertificateState(identity, role, ends, ends - now, old)


def _lifetime_days(certificate: x509.Certificate) -> int:
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return max(1, lifetime // timedelta(days=1))


def _read(path: Path, load: Callable[[bytes], T]) -> T:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise CertificateError(
            f"cannot read {path}: {error.strerror}; name the folder that `twintier certs create` "
            "made, on the machine that keeps the authority"
        ) from error
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{path} holds no usable PEM: {error}; restore it") from error
