"""The bytes of every message stay what they are; a change is a new version.

A file is written once, for a new message or version, and never edited:
`python -m tests.wire.write_golden`.
"""

import pytest

from tests.support.wire import E1, GOLDEN, P1, address, envelope, rows, sample
from twintier.protocol.catalogue import BY_NAME, Row
from twintier.protocol.codec import decode, encode
from twintier.protocol.messages import Grant
from twintier.protocol.topics import topic_for
from twintier.protocol.upcast import UPCASTERS, newest
from twintier.protocol.values import Fence


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_golden_bytes_are_understood_and_still_written(row: Row) -> None:
    golden = (GOLDEN / f"{row.name}.msgpack").read_bytes()
    decoded = decode(golden, topic_for(row.message, address(row)))
    assert decoded.message == sample(row.message)
    assert decoded.envelope == envelope(row)
    assert encode(envelope(row), sample(row.message)) == golden


OLD = sorted({path.stem for path in GOLDEN.glob("*.msgpack")} - set(BY_NAME))
"""Versions that this release no longer writes."""


@pytest.mark.parametrize("name", OLD)
def test_an_old_version_is_brought_up_to_the_present_one(name: str) -> None:
    row = BY_NAME[newest(name)]
    decoded = decode(
        (GOLDEN / f"{name}.msgpack").read_bytes(), topic_for(row.message, address(row))
    )
    assert decoded.envelope == envelope(row).model_copy(update={"type": name})
    assert decoded.message == sample(row.message).model_copy(update=_OLD[name])


def test_every_old_version_has_its_bytes() -> None:
    assert OLD == sorted(_OLD) == sorted(UPCASTERS)


_UNSIGNED = Grant(plvn=P1, edge=E1, fence=Fence(3), valid_s=120.0)
_OLD: dict[str, dict[str, object]] = {
    "attributes-reported.v1": {},
    "edge-status-reported.v1": {"verify_key": ""},
    "gradients-computed.v1": {},
    "gradients-computed.v2": {},
    "grant-renewed.v1": {"grant": _UNSIGNED},
    "health-reported.v1": {"peers": ()},
    "individual-model-reported.v1": {},
    "meta-model-offered.v1": {},
    "meta-model-offered.v2": {},
    "meta-round-started.v1": {},
    "meta-round-started.v2": {},
    "model-dispatched.v1": {"sampled": False, "program": b""},
    "model-dispatched.v2": {"sampled": False, "program": b""},
    "model-refused.v1": {},
    "performance-reported.v1": {},
    "registration-granted.v1": {"grant": _UNSIGNED, "unknown_inmfs": ()},
    "registration-granted.v2": {"unknown_inmfs": ()},
    "telemetry-reported.v1": {},
    "telemetry-reported.v2": {},
    "trajectories-reported.v1": {},
    "trajectories-reported.v2": {},
    "twin-placed.v1": {"grant": _UNSIGNED},
    "twin-registered.v1": {"grant": _UNSIGNED},
}
"""What the older version does not say."""
