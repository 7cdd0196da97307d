from typing import get_args

import pytest

from tests.support.wire import sample
from twintier.protocol.errors import RefusalCode
from twintier.protocol.messages import MessageReturned
from twintier.runtime.effects import Count, count_of

RETURNED = sample(MessageReturned)


@pytest.mark.parametrize("code", get_args(RefusalCode))
def test_what_came_back_is_counted_by_its_code(code: str) -> None:
    returned = MessageReturned.model_validate(dict(RETURNED) | {"code": code})
    assert count_of(returned) == Count(f"returned.{code}")


@pytest.mark.parametrize("code", ["x", "malformed ", "n" * 64])
def test_codes_that_a_peer_makes_up_share_one_counter(code: str) -> None:
    returned = MessageReturned.model_validate(dict(RETURNED) | {"code": code})
    assert count_of(returned) == Count("returned.other")
