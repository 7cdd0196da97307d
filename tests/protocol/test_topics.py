import pytest

from tests.support.names import COOP_PERCEPTION
from tests.support.wire import address
from twintier.protocol.address import Address
from twintier.protocol.catalogue import BY_NAME, CATALOGUE, Row
from twintier.protocol.errors import InvalidIdError, LocalProtocolError, RemoteProtocolError
from twintier.protocol.ids import CategoryKey, EdgeId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    BaselineOrdered,
    CloudStatusReported,
    GradientsComputed,
    GradientsFailed,
    HealthReported,
    Message,
    ModelDispatched,
    PerformanceReported,
    UploadsAcknowledged,
)
from twintier.protocol.topics import (
    MAX_SLASHES,
    MAX_TOPIC_BYTES,
    category_digest,
    check_source,
    matches,
    parse,
    subscription,
    subscriptions,
    topic_for,
)

P1, E1 = PlvnId("p1"), EdgeId("e1")
LONG = "x" * 64


def test_a_topic_names_root_version_and_address() -> None:
    at = Address(plvn=P1, inmf=COOP_PERCEPTION)
    topic = topic_for(PerformanceReported, at, "fleet")
    assert topic == "fleet/v1/plvn/p1/up/perf/coop-perception"
    assert topic_for(CloudStatusReported, Address()) == "twintier/v1/cloud/status"


def test_a_topic_that_lacks_a_level_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError, match=r"lacks \{inmf\}"):
        topic_for(PerformanceReported, Address(plvn=P1))


@pytest.mark.parametrize("bad", ["a/b", "+", "#", "", "a b", "-a", "a\0", "ä", "$SYS", LONG + "x"])
def test_an_identity_cannot_add_levels_or_wildcards(bad: str) -> None:
    with pytest.raises(InvalidIdError):
        topic_for(AttributesReported, Address(plvn=PlvnId(bad), edge=E1))
    with pytest.raises(InvalidIdError):
        subscription(AttributesReported, Address(plvn=PlvnId(bad)))
    with pytest.raises(InvalidIdError):
        topic_for(CloudStatusReported, Address(), bad)


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_every_topic_is_read_back_and_keeps_to_the_subset(row: Row) -> None:
    topic = topic_for(row.message, address(row))
    parsed = parse(topic)
    assert row in parsed.rows
    assert topic_for(row.message, parsed.address) == topic
    longest = Address(
        PlvnId(LONG), EdgeId(LONG), COOP_PERCEPTION, "0" * 32, "plvn", LONG, "0" * 64, row.branch
    )
    deepest = topic_for(row.message, longest, LONG)
    assert deepest.count("/") <= MAX_SLASHES
    assert len(deepest.encode()) <= MAX_TOPIC_BYTES


def test_messages_that_share_a_topic_are_both_named() -> None:
    parsed = parse("twintier/v1/edge/e1/up/meta/coop-perception/grad")
    shared: set[type[Message]] = {GradientsComputed, GradientsFailed}
    assert {row.message for row in parsed.rows} == shared
    assert parsed.address == Address(edge=E1, inmf=COOP_PERCEPTION)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "twintier",
        "twintier/v1/",
        "twintier/v2/cloud/status",
        "other/v1/cloud/status",
        "twintier/v1/cloud/status/",
        "twintier/v1//cloud/status",
        "twintier/v1/plvn/p1/up/nothing",
        "twintier/v1/plvn/p+1/up/status",
        "twintier/v1/plvn//up/status",
        "twintier/v1/mon/admin/p1",
        "twintier/v1/plvn/" + "p" * 300 + "/up/status",
    ],
)
def test_topics_outside_the_catalogue_are_refused(topic: str) -> None:
    with pytest.raises(RemoteProtocolError, match="invalid_topic"):
        parse(topic)


def test_filters_leave_open_what_the_mask_leaves_open_and_come_once() -> None:
    mask = Address(plvn=P1)
    assert subscription(PerformanceReported, mask) == "twintier/v1/plvn/p1/up/perf/+"
    assert subscription(AttributesReported, Address()) == "twintier/v1/edge/+/up/twin/+/attrs"
    assert subscriptions((ModelDispatched, BaselineOrdered), mask) == [
        "twintier/v1/plvn/p1/down/model/+"
    ]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_a_filter_matches_its_topic(row: Row) -> None:
    mask = Address(branch=row.branch)
    assert matches(subscription(row.message, mask), topic_for(row.message, address(row)))


def test_a_message_that_brings_others_through_needs_its_branch() -> None:
    at = Address(plvn=P1, edge=E1, branch="plvn/down")
    assert topic_for(UploadsAcknowledged, at) == "twintier/v1/plvn/p1/down/ack"
    at = Address(plvn=P1, edge=E1, branch="edge/down")
    assert topic_for(UploadsAcknowledged, at) == "twintier/v1/edge/e1/down/ack"
    with pytest.raises(LocalProtocolError, match="travels on plvn/down, edge/down, not on plvn/up"):
        topic_for(UploadsAcknowledged, Address(plvn=P1, branch="plvn/up"))


@pytest.mark.parametrize(
    ("name", "src"),
    [
        ("performance-reported.v2", "plvn:p2"),
        ("performance-reported.v2", "edge:p1"),
        ("attributes-reported.v2", "edge:e2"),
        ("attributes-reported.v2", "plvn:e1"),
        ("grant-renewed.v2", "edge:e1"),
        ("grant-renewed.v2", "cloud:imposter"),
        ("model-dispatched.v3", "plvn:p1"),
        ("cloud-status-reported.v1", "edge:cloud"),
        ("health-reported.v2", "plvn:p2"),
        ("uploads-acknowledged.v1", "plvn:p1"),
    ],
)
def test_a_source_that_may_not_publish_there_is_refused(name: str, src: str) -> None:
    row = BY_NAME[name]
    at = parse(topic_for(row.message, address(row))).address
    with pytest.raises(RemoteProtocolError, match="wrong_source"):
        check_source(src, row, at)


def test_sources_of_the_right_identity_or_role_may_publish() -> None:
    edge = EdgeId("e9")
    check_source("edge:e9", BY_NAME["model-dispatched.v3"], Address(plvn=P1, edge=edge))
    check_source("plvn:p1", BY_NAME["performance-reported.v2"], Address(plvn=P1))
    check_source("plvn:p1", BY_NAME["message-refused.v1"], Address())
    health = parse(topic_for(HealthReported, Address(role="edge", id="e1"))).address
    check_source("edge:e1", BY_NAME["health-reported.v2"], health)


def test_a_category_has_one_level_whatever_its_key_holds() -> None:
    digest = category_digest(CategoryKey("city=köln/+|road=#"))
    assert digest == "f36bbf009a5263fef30ae0ee0162ec89"
