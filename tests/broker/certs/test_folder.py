import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from twintier.broker.certs import folder as certs
from twintier.broker.certs.folder import Identities
from twintier.broker.certs.private_files import replace_files
from twintier.broker.certs.signing_keys import load_signing_key, load_verify_key
from twintier.broker.certs.x509 import AUTHORITY_DAYS, LOCAL_HOSTS
from twintier.broker.errors import CertificateError
from twintier.broker.mqtt.tls import client_context, tls_files

NOW = datetime(2031, 5, 1, tzinfo=UTC)
SOME = Identities(edges=["e1"], plvns=["p1"], watchers=["ops"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certs.create(tmp_path / "certs", SOME, now=NOW, hosts=["broker.example", "10.0.0.7"], days=30)
    return tmp_path / "certs"


def leaf(folder: Path, identity: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{identity}.pem").read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_folder_has_what_everybody_needs_and_secrets_are_for_their_owner(folder: Path) -> None:
    pairs = ["broker", "ca", "cloud", "e1", "monitor", "ops", "p1"]
    expected = [f"{name}.{ending}" for name in pairs for ending in ("key", "pem")]
    expected += [f"{name}.sign.{ending}" for name in ("cloud", "e1") for ending in ("key", "pub")]
    assert sorted(contents(folder)) == sorted(expected)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir() if p.suffix == ".key"}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 9


def test_the_broker_is_known_under_its_names_and_clients_under_none(folder: Path) -> None:
    names = leaf(folder, "broker").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost", "broker.example"]
    addresses = [str(a) for a in names.value.get_values_for_type(x509.IPAddress)]
    assert addresses == [*LOCAL_HOSTS[1:], "10.0.0.7"]
    uses = leaf(folder, "p1").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_who_an_identity_is_stands_in_its_certificate(folder: Path) -> None:
    found = certs.identities_of(folder)
    assert found == Identities(["e1"], ["p1"], ["monitor", "ops"])
    assert leaf(folder, "p1").subject.rfc4514_string() == "CN=p1,OU=plvn,O=twintier"


@pytest.mark.parametrize(
    ("identities", "reason"),
    [
        (Identities(edges=["cloud"]), "'cloud' is the name of a part"),
        (Identities(plvns=["CA"]), "'CA' is the name of a part"),
        (Identities(plvns=["a/b"]), "does not match"),
        (Identities(edges=["x"], plvns=["X"]), "'x' is named twice"),
    ],
)
def test_an_identity_that_would_be_taken_for_another_is_refused(
    tmp_path: Path, identities: Identities, reason: str
) -> None:
    with pytest.raises(CertificateError, match=reason):
        certs.create(tmp_path / "certs", identities, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_by_force_only_and_as_a_whole(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(CertificateError, match=r"holds 18 files.*--force"):
        certs.create(folder, SOME, now=NOW)
    assert contents(folder) == before
    certs.create(folder, Identities(), now=NOW, force=True)
    assert sorted(p.stem for p in folder.glob("*.pem")) == ["broker", "ca", "cloud", "monitor"]
    assert list(folder.parent.iterdir()) == [folder]


def test_force_does_not_delete_what_is_no_certificate(folder: Path) -> None:
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(CertificateError, match=r"holds 'thesis\.tex'"):
        certs.create(folder, SOME, now=NOW, force=True)
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_files_that_cannot_all_be_written_replace_none(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(FileNotFoundError):
        replace_files(folder, {"e1.pem": b"new", "no/such/folder.pem": b"new"})
    assert contents(folder) == before


def test_an_added_identity_is_by_the_same_authority_and_replaces_nobody(folder: Path) -> None:
    assert certs.add(folder, Identities(edges=["e2"]), now=NOW, days=30) == ["e2"]
    leaf(folder, "e2").verify_directly_issued_by(certs.authorities(folder)[0])
    assert load_verify_key(folder / "e2.sign.pub") != load_verify_key(folder / "e1.sign.pub")
    before = contents(folder)
    with pytest.raises(CertificateError, match="has a certificate of 'E1'"):
        certs.add(folder, Identities(plvns=["p9", "E1"]), now=NOW)
    assert contents(folder) == before


def test_a_rotation_renews_keys_and_keeps_names_lifetime_and_signing_keys(folder: Path) -> None:
    before, later = contents(folder), NOW + timedelta(days=20)
    certs.rotate(folder, now=later)
    after = contents(folder)
    same = {name for name in before if after[name] == before[name]}
    signing = {f"{name}.sign.{end}" for name in ("cloud", "e1") for end in ("key", "pub")}
    assert same == {"ca.pem", "ca.key", *signing}
    assert leaf(folder, "e1").not_valid_after_utc == later + timedelta(days=30)
    names = leaf(folder, "broker").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "broker.example" in names.value.get_values_for_type(x509.DNSName)


def test_a_new_authority_comes_beside_the_old_one_until_nobody_needs_that(folder: Path) -> None:
    (old,) = certs.authorities(folder)
    certs.rotate_authority(folder, now=NOW)
    new, still = certs.authorities(folder)
    assert still == old
    with pytest.raises(CertificateError, match="still trusts an older authority"):
        certs.rotate_authority(folder, now=NOW)
    with pytest.raises(CertificateError, match="of broker, cloud, e1, monitor, ops, p1 are by the"):
        certs.drop_old_authority(folder)
    certs.rotate(folder, now=NOW)
    certs.drop_old_authority(folder)
    assert certs.authorities(folder) == [new]
    assert not any(state.by_old_authority for state in certs.inspect(folder, now=NOW))
    with pytest.raises(CertificateError, match="trusts one authority only"):
        certs.drop_old_authority(folder)


def test_days_left_are_told_and_seven_of_them_are_too_few(folder: Path) -> None:
    def told(days: float) -> tuple[int, bool]:
        now = NOW + timedelta(days=days)
        state = next(s for s in certs.inspect(folder, now=now) if s.identity == "p1")
        return state.days_left, state.must_be_renewed

    assert [told(d) for d in (0, 22.9, 23, 29.5, 30.5)] == [
        (30, False),
        (7, False),
        (7, True),
        (0, True),
        (-1, True),
    ]


def test_a_certificate_never_outlives_its_authority(folder: Path) -> None:
    certs.rotate(folder, now=NOW + timedelta(days=AUTHORITY_DAYS - 3), days=30)
    assert leaf(folder, "p1").not_valid_after_utc == NOW + timedelta(days=AUTHORITY_DAYS)


def test_what_one_signs_the_other_verifies(folder: Path) -> None:
    signature = load_signing_key(folder / "cloud.sign.key").sign(b"grant")
    known = load_verify_key(folder / "cloud.sign.pub")
    assert len(known) == 32
    Ed25519PublicKey.from_public_bytes(known).verify(signature, b"grant")
    other = Ed25519PublicKey.from_public_bytes(load_verify_key(folder / "e1.sign.pub"))
    with pytest.raises(InvalidSignature):
        other.verify(signature, b"grant")


def test_a_key_of_another_kind_or_none_is_named(folder: Path) -> None:
    with pytest.raises(CertificateError, match=r"p1\.key holds no Ed25519 key"):
        load_signing_key(folder / "p1.key")
    with pytest.raises(CertificateError, match=r"cloud\.sign\.key holds no Ed25519 key"):
        load_verify_key(folder / "cloud.sign.key")
    with pytest.raises(CertificateError, match=r"cannot read .*e7\.sign\.pub"):
        load_verify_key(folder / "e7.sign.pub")


def test_an_authority_s_key_that_is_not_there_or_not_its_own_signs_nothing(folder: Path) -> None:
    (folder / "ca.key").write_bytes((folder / "p1.key").read_bytes())
    with pytest.raises(CertificateError, match="not the key of an authority"):
        certs.rotate(folder, now=NOW)
    (folder / "ca.key").unlink()
    with pytest.raises(CertificateError, match=r"cannot read .*ca\.key"):
        certs.add(folder, Identities(plvns=["p9"]), now=NOW)


def test_a_client_trusts_this_authority_only_and_checks_names(folder: Path) -> None:
    context = client_context(tls_files(folder, "p1"))
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
    with pytest.raises(CertificateError, match=r"p7\.pem is missing"):
        tls_files(folder, "p7")


def test_a_host_may_have_an_underscore_as_networks_of_containers_name_them(tmp_path: Path) -> None:
    certs.create(tmp_path / "certs", SOME, now=NOW, hosts=["twintier_broker"], days=30)
    loaded = x509.load_pem_x509_certificate((tmp_path / "certs" / "broker.pem").read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "twintier_broker" in names.value.get_values_for_type(x509.DNSName)
