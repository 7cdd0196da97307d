"""User name and password of a broker that asks for them: from the environment, never elsewhere.

A command line can be read by every user of a machine, and logs travel; so neither holds them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twintier.broker.errors import CertificateError

USERNAME = "TWINTIER_USERNAME"
PASSWORD = "TWINTIER_PASSWORD"  # noqa: S105  # the variable's name
PASSWORD_FILE = "TWINTIER_PASSWORD_FILE"  # noqa: S105  # the variable's name


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says of itself where no certificate does."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


def credentials_from(environment: Mapping[str, str]) -> Credentials:
    """Credentials as `TWINTIER_USERNAME` and `TWINTIER_PASSWORD` or `..._PASSWORD_FILE` say.

    Raises:
        CertificateError: if they contradict one another, or the file cannot be read.
    """
    username = environment.get(USERNAME) or None
    password = environment.get(PASSWORD) or None
    path = environment.get(PASSWORD_FILE) or None
    if password is not None and path is not None:
        raise CertificateError(f"both {PASSWORD} and {PASSWORD_FILE} are set; unset one")
    if path is not None:
        password = _first_line(Path(path))
    if password is not None and username is None:
        raise CertificateError(f"a password is set, but no user name; set {USERNAME} too")
    return Credentials(username, password)


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CertificateError(f"cannot read {path}, named by {PASSWORD_FILE}: {error}") from error
    if not lines or not lines[0]:
        raise CertificateError(f"{path}, named by {PASSWORD_FILE}, is empty; write the password")
    return lines[0]
