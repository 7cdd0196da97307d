import pytest

from twintier.protocol.upcast import following, newest, upcast


def test_a_chain_ends_in_the_version_that_is_written() -> None:
    assert newest("grant-renewed.v1") == "grant-renewed.v2"
    assert newest("retrain-triggered.v1") == "retrain-triggered.v1"
    assert newest("trajectories-reported.v1") == "trajectories-reported.v3"
    assert following("health-reported.v9") == "health-reported.v10"
    with pytest.raises(ValueError, match="no type of a message"):
        following("health")


@pytest.mark.parametrize("body", [None, 3, "text", {"grant": "none"}])
def test_a_body_that_no_upcaster_knows_is_left_to_validation(body: object) -> None:
    assert upcast("grant-renewed.v1", body) == body
