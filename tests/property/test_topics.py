"""Topics built from an address are read back as that address, and never escape their branch."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import LEVELS
from twintier.protocol.address import Address
from twintier.protocol.catalogue import CATALOGUE, Row
from twintier.protocol.errors import InvalidIdError, RemoteProtocolError
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.topics import matches, parse, subscription, topic_for

ROWS = st.sampled_from(CATALOGUE)
ADDRESSES = st.builds(
    Address,
    plvn=LEVELS.map(PlvnId),
    edge=LEVELS.map(EdgeId),
    inmf=LEVELS.map(InmfId),
    category_digest=LEVELS,
    role=st.sampled_from(["plvn", "edge", "cloud"]),
    id=LEVELS,
    digest=LEVELS,
)


@given(row=ROWS, address=ADDRESSES, root=LEVELS)
def test_build_then_parse_gives_the_same_topic(row: Row, address: Address, root: str) -> None:
    address = replace(address, branch=row.branch)
    topic = topic_for(row.message, address, root)
    parsed = parse(topic, root)
    assert row in parsed.rows
    assert topic_for(row.message, parsed.address, root) == topic
    assert matches(subscription(row.message, address, root), topic)


@given(row=ROWS, text=st.text(max_size=70))
def test_no_identity_changes_the_number_of_levels(row: Row, text: str) -> None:
    address = Address(
        PlvnId(text), EdgeId(text), InmfId(text), text, "plvn", text, text, row.branch
    )
    expected = row.topic.count("/") + 2
    try:
        topic = topic_for(row.message, address)
    except InvalidIdError:
        return
    assert topic.count("/") == expected


@given(topic=st.text(max_size=100))
def test_any_text_is_a_topic_of_the_catalogue_or_refused(topic: str) -> None:
    try:
        parsed = parse(topic)
    except RemoteProtocolError:
        return
    assert topic_for(parsed.rows[0].message, parsed.address) == topic
