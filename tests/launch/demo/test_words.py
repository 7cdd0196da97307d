"""What happens is said in words, with how long it will take."""

import pytest

from tests.launch.demo.views import (
    DAY_IN_BERLIN,
    PERCEPTION,
    SCALING,
    busy,
    cloud,
    plan,
    progress,
    training,
)
from twintier.cloud_twin.settings import CloudSettings
from twintier.launch.demo.words import (
    bar,
    category_words,
    happening,
    left_s,
    plan_of,
    printable,
)
from twintier.launch.inspect.projection import View
from twintier.protocol.ids import PlvnId


def test_training_is_said_with_its_category_and_how_far_it_is() -> None:
    view = View(cloud=cloud("planning", 60), rounds={"a": training(DAY_IN_BERLIN, 60)})
    said = happening(view, progress(plan()))
    assert said == "training the meta model for Day + Berlin + Highway, 60 of 100"


def test_of_several_trainings_the_furthest_is_said_with_its_inmf() -> None:
    rounds = {"a": training(DAY_IN_BERLIN, 40, "scaling-1"), "b": training("", 150)}
    view = View(cloud=cloud("planning", 190), rounds=rounds)
    said = happening(view, progress(plan(8, PERCEPTION, SCALING)))
    assert said == "coop-perception: training the super model, 150 of 300, and 1 more"


def test_before_planning_those_who_are_missing_are_counted() -> None:
    assert happening(View(), progress(plan())) == "starting: networks warm up, servers come online"
    view = View(cloud=cloud("planning"))
    view.plvn(PlvnId("p1"))
    said = "waiting for PLVNs: 1 of 8 are here and act by the baseline"
    assert happening(view, progress(plan())) == said
    view.cloud = cloud("planning", 20)
    said = "planning: the next training is about to begin"
    assert happening(view, progress(plan())) == said


def test_online_says_how_many_act_by_a_model_of_their_own() -> None:
    said = happening(busy(8, PERCEPTION), progress(plan()))
    assert said == "online: 4 of 8 act by a model of their own, 4 on probation"


@pytest.mark.parametrize(
    ("passed_s", "iterations", "shown"),
    [
        (15.0, 0, "[######------------------]  25% of planning, about 45 s left"),
        (15.0, 200, "[############------------]  50% of planning, about 15 s left"),
        (90.0, 200, "[########################] 100% of planning, about 0 s left"),
        (0.0, 0, "[------------------------]   0% of planning, about 60 s left"),
    ],
)
def test_the_bar_shows_time_or_work_whichever_is_further(
    passed_s: float, iterations: int, shown: str
) -> None:
    view = View(cloud=cloud("planning", iterations))
    assert bar(view, progress(plan(), planned_for_s=passed_s)) == shown


def test_there_is_no_bar_before_and_after_planning() -> None:
    view = View(cloud=cloud("online", 400))
    assert (bar(view, progress(plan())), left_s(view, progress(plan()))) == ("", None)


def test_foreign_text_is_printed_literally() -> None:
    assert category_words("city=:cloud:|road=[/up/x]") == ":cloud: + [/up/x]"
    assert printable("a\x1b[2Jb\n") == r"a\x1b[2Jb\n"
    assert printable("Zürich 東京") == "Zürich 東京"


def test_the_plan_knows_which_inmfs_have_a_first_stage() -> None:
    settings = CloudSettings(first_stage_iterations=150, iterations=100)
    planned = plan_of(settings, 4, [PERCEPTION])
    ((schema, iterations),) = planned.super_iterations.items()
    assert (iterations, planned.names[schema]) == (250, PERCEPTION)
