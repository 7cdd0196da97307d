"""What the doctor makes of what it hears."""

import pytest

from tests.support.peers import Peer
from tests.support.toy import status
from twintier.launch.doctor.findings import Finding, as_fields, as_lines, worst
from twintier.launch.doctor.listening import Heard, findings_of
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId
from twintier.runtime.core import Role

NOW = 1_700_000_000.0
E1 = Address(edge=EdgeId("e1"))


def hear(heard: Heard, peer: Peer, after_s: float, *, late_s: float = 0.0) -> None:
    """A status of a peer that is sent some time after the beginning and arrives later."""
    role: Role = "edge" if peer.src.startswith("edge") else "cloud"
    address = E1 if role == "edge" else Address()
    decoded, topic = peer.decoded(status(role, "online"), address, NOW + after_s)
    heard.take(decoded, topic, NOW + after_s + late_s, retained=False)


def found(heard: Heard, check: str) -> Finding:
    [finding] = [f for f in findings_of(heard, 3.0) if f.check == check]
    return finding


def test_nothing_heard_is_no_problem() -> None:
    assert worst(findings_of(Heard(), 3.0)) == "ok"
    assert found(Heard(), "listening").seen == "0 identities spoke in 3 s"


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [(5.0, "edge:e1 is 4.9 s ahead"), (-5.0, "edge:e1 is 5.1 s behind"), (0.5, "")],
)
def test_a_clock_is_judged_by_the_smallest_difference(ahead_s: float, said: str) -> None:
    heard, peer = Heard(), Peer("edge:e1", "b1", clock_ahead_s=ahead_s)
    for after_s, late_s in ((0.0, 0.7), (1.0, 0.1), (2.0, 1.4)):
        hear(heard, peer, after_s, late_s=late_s)
    finding = found(heard, "clocks")
    assert (finding.level, finding.seen if said else "") == ("warning" if said else "ok", said)


def test_two_processes_in_turn_are_a_problem_and_a_restart_is_none() -> None:
    heard, old, new = Heard(), Peer("cloud:cloud", "old"), Peer("cloud:cloud", "new")
    hear(heard, old, 0.0)
    hear(heard, new, 1.0)
    assert found(heard, "identities").level == "ok"
    hear(heard, old, 2.0)
    finding = found(heard, "identities")
    assert finding.level == "problem"
    assert finding.seen == "two processes spoke in turn as cloud:cloud (old and new) within 3 s"
    assert finding.fix == "end one of them, or rename it"


@pytest.mark.parametrize(("age_s", "level"), [(44.0, "ok"), (46.0, "warning")])
def test_a_kept_status_is_left_over_after_three_leases(age_s: float, level: str) -> None:
    heard, peer = Heard(), Peer("edge:e1", "b1")
    decoded, topic = peer.decoded(status("edge", "online"), E1, NOW - age_s)
    heard.take(decoded, topic, NOW, retained=True)
    finding = found(heard, "leases")
    assert finding.level == level
    if level == "warning":
        assert finding.seen == "edge:e1 is said to be online, 46 s old"
        assert finding.limit == "3 leases of 15 s"
        assert finding.fix.startswith("mosquitto_pub -r -n -t twintier/v1/edge/e1/up/status ")


def test_a_kept_status_of_somebody_who_speaks_or_has_left_is_not_left_over() -> None:
    heard, peer = Heard(), Peer("edge:e1", "b1")
    decoded, topic = peer.decoded(status("edge", "online"), E1, NOW - 500)
    heard.take(decoded, topic, NOW, retained=True)
    hear(heard, peer, 1.0)
    assert found(heard, "leases").level == "ok"
    gone = Heard()
    decoded, topic = peer.decoded(status("edge", "offline"), E1, NOW - 500)
    gone.take(decoded, topic, NOW, retained=True)
    assert found(gone, "leases").level == "ok"


def test_messages_of_no_kind_are_a_warning() -> None:
    finding = found(Heard(unreadable=3), "listening")
    assert finding.level == "warning"
    assert finding.seen.endswith("3 messages were none of the catalogue's")


def test_findings_are_lines_with_what_mends_them() -> None:
    findings = [
        Finding("a", "ok", "fine"),
        Finding("b", "warning", "odd", "less than 3", "do this"),
    ]
    assert as_lines(findings) == [
        "ok       a: fine",
        "warning  b: odd (less than 3)",
        "           mend it: do this",
    ]
    assert as_fields(findings)["worst"] == "warning"
    assert worst([*findings, Finding("c", "problem", "bad")]) == "problem"
