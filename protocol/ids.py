"""Identities on the wire: their types and the one grammar they all keep to."""

import re
from collections.abc import Mapping
from typing import Annotated, NewType

from pydantic import AfterValidator

from twintier.protocol.errors import InvalidIdError

PlvnId = NewType("PlvnId", str)
EdgeId = NewType("EdgeId", str)
InmfId = NewType("InmfId", str)
CategoryKey = NewType("CategoryKey", str)
"""Canonical category, `city=toronto|road=highway|tod=day`; the empty string is the root."""
ModelId = NewType("ModelId", str)
"""blake2b-256 over schema id and canonical parameter bytes, hexadecimal."""

SUPER_CATEGORY = CategoryKey("")

LEVEL_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*"
MAX_ID_LENGTH = 64
_LEVEL = re.compile(LEVEL_PATTERN)


def check_level(value: str) -> str:
    """Return `value` if it may stand as one level of a topic.

    Raises:
        InvalidIdError: if it has another character, is empty, or is longer than 64.
    """
    if len(value) > MAX_ID_LENGTH:
        raise InvalidIdError(
            f"id of {len(value)} characters starting {value[:16]!r} exceeds {MAX_ID_LENGTH}; "
            "shorten or hash it"
        )
    if not _LEVEL.fullmatch(value):
        raise InvalidIdError(
            f"id {value!r} does not match {LEVEL_PATTERN}; hash or rename what may hold "
            "'/', '+', '#', spaces or other characters"
        )
    return value


PlvnName = Annotated[PlvnId, AfterValidator(check_level)]
EdgeName = Annotated[EdgeId, AfterValidator(check_level)]
InmfName = Annotated[InmfId, AfterValidator(check_level)]


def category_key(attributes: Mapping[str, str]) -> CategoryKey:
    """Canonical key: pairs sorted by attribute; an unknown attribute is simply absent."""
    return CategoryKey("|".join(f"{name}={attributes[name]}" for name in sorted(attributes)))
