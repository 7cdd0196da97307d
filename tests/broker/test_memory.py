"""The in-memory bus's tree of filters gives what matching them one by one gives."""

from hypothesis import given
from hypothesis import strategies as st

from twintier.broker.memory import Filters
from twintier.protocol.topics import matches

LEVELS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
FILTERS = st.builds(
    lambda levels, ending: "/".join([*levels, *ending]),
    st.lists(st.sampled_from("abc+"), min_size=1, max_size=4),
    st.sampled_from([(), ("#",)]),
)


@given(kept=st.sets(FILTERS, max_size=6), ended=st.sets(FILTERS, max_size=6), topic=LEVELS)
def test_a_topic_matches_the_tree_if_it_matches_a_filter_in_it(
    kept: set[str], ended: set[str], topic: list[str]
) -> None:
    filters = Filters()
    for topic_filter in kept | ended:
        filters.add(topic_filter.split("/"))
    for topic_filter in ended:
        filters.discard(topic_filter.split("/"))
    left = kept - ended
    assert filters.match(topic) == any(matches(f, "/".join(topic)) for f in left)
    for topic_filter in left:
        filters.discard(topic_filter.split("/"))
    assert filters.empty
