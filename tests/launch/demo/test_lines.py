"""Without a terminal a run is plain lines: events as they come, and how it stands now and then."""

import io

import pytest
from rich.console import Console

from tests.launch.demo.views import DAY_IN_BERLIN, PERCEPTION, busy, cloud, plan, progress, training
from twintier.launch.demo.lines import Lines
from twintier.launch.demo.screen import screen_on
from twintier.launch.inspect.projection import View


def test_every_event_has_one_line_and_comes_once() -> None:
    said, view = Lines(), busy(1, PERCEPTION)
    lines = said.following(view, progress(plan()))
    state = (
        "7 s, simulated 0 s at x0; 31 vehicles in 1 PLVNs; 120 messages/s; "
        "online: 1 of 8 act by a model of their own, 1 on probation"
    )
    assert lines == [
        "the cloud twin is online",
        "braunschweig-arterial-rsu1 coop-perception: v3 probation, from Day + Berlin + Highway",
        state,
    ]
    assert said.following(view, progress(plan(), elapsed_s=8.0)) == []
    later = said.following(view, progress(plan(), elapsed_s=12.0))
    assert later == [state.replace("7", "12", 1)]


def test_while_planning_the_time_left_is_said() -> None:
    view = View(cloud=cloud("planning", 60), rounds={"a": training(DAY_IN_BERLIN, 60)})
    (_, line) = Lines().following(view, progress(plan(), planned_for_s=15.0))
    assert line.endswith(
        "training the meta model for Day + Berlin + Highway, 60 of 100, about 45 s of planning left"
    )


def test_vehicles_that_stand_in_are_said_first() -> None:
    first, *_ = Lines().following(View(), progress(plan(), remark="builtin stands in for sumo"))
    assert first == "builtin stands in for sumo"


@pytest.mark.parametrize(
    "environment", [{}, {"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=["pipe", "dumb", "no colour"]
)
def test_what_no_terminal_reads_has_no_control_and_no_box(environment: dict[str, str]) -> None:
    shown = io.StringIO()
    console = Console(file=shown, _environ=environment)
    with screen_on(console) as screen:
        screen.show(busy(8, PERCEPTION), progress(plan()))
    assert shown.getvalue().isascii()
    assert "\x1b" not in shown.getvalue()
    assert len(shown.getvalue().splitlines()) == 6


@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal_it_is_drawn_without_colours_if_nobody_wants_them(*, no_colour: bool) -> None:
    shown = io.StringIO()
    environment = {"TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_colour else {})}
    console = Console(file=shown, force_terminal=True, width=80, height=24, _environ=environment)
    with screen_on(console) as screen:
        for _ in range(2):
            screen.show(busy(1, PERCEPTION), progress(plan()))
    assert "trial of model" in shown.getvalue()
    assert not any(f"\x1b[{colour}m" in shown.getvalue() for colour in range(30, 48))


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError("No space left on device")


def test_a_screen_that_is_full_costs_the_screen_only() -> None:
    with screen_on(Console(file=Full())) as screen:
        screen.show(busy(1, PERCEPTION), progress(plan()))
        screen.show(busy(2, PERCEPTION), progress(plan(), elapsed_s=20.0))
