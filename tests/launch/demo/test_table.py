"""The table fits the terminal that it is drawn on, and compares what can be compared."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.launch.demo.views import PERCEPTION, SCALING, busy, cloud, plan, progress, training
from twintier.launch.demo.layout import cut_middle
from twintier.launch.demo.table import render
from twintier.launch.inspect.projection import View
from twintier.protocol.ids import InmfId, PlvnId

BOTH = (PERCEPTION, SCALING)


def lines(view: View, width: int = 80, height: int = 24, remark: str = "") -> list[str]:
    shown = progress(plan(8, *BOTH), planned_for_s=15.0, remark=remark)
    return render(view, shown, width, height).plain.split("\n")


def planning(view: View) -> View:
    view.cloud, view.rounds = cloud("planning", 60), {"a": training("", 60)}
    return view


def test_sixteen_rows_fit_an_old_terminal_with_no_word_broken() -> None:
    drawn = lines(planning(busy(8, *BOTH)))
    assert len(drawn) <= 23
    assert max(cell_len(line) for line in drawn) <= 80
    rows = [line for line in drawn if line.startswith("braun")]
    numbers = [int(row.split()[0][-1]) for row in rows]
    assert numbers == [number for number in range(1, 9) for _ in BOTH]
    assert [len(row.split()) for row in rows] == [10, 10, 6, 6] * 4


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(cell_len(line) for line in lines(busy(8, *BOTH), width)) <= width


def test_a_wide_terminal_shows_names_whole_and_where_models_come_from() -> None:
    drawn = lines(busy(1, PERCEPTION), 160)
    heading, row = drawn[4], drawn[5]
    assert heading.split() == [
        *("PLVN", "cars", "category", "acts", "from"),
        *("now", "base", "model", "base", "bound"),
    ]
    assert row.split("  ")[0] == "braunschweig-arterial-rsu1"
    assert row.count("Day + Berlin + Highway") == 2
    assert "v3 probation" in row


def test_what_was_measured_stands_apart_from_the_trial_with_its_bound() -> None:
    groups, heading, row = lines(busy(1, PERCEPTION))[3:6]
    assert groups.replace("-", " ").split() == ["measured", "trial", "of", "model"]
    assert row.split()[-5:] == ["4.42", "0.50", "0.79", "0.71", "0.88"]
    assert heading.split()[-5:] == ["now", "base", "model", "base", "bound"]
    edge = groups.index("trial")
    assert heading.index("now") < heading.index("base") < edge < heading.index("bound")


def test_rows_that_do_not_fit_are_counted() -> None:
    drawn = lines(busy(100, PERCEPTION), 80, 24)
    assert len(drawn) <= 23
    assert sum("rsu" in line for line in drawn) + int(drawn[-2].split()[2]) == 100


def test_names_are_printed_as_they_are() -> None:
    view = busy(0)
    view.plvn(PlvnId("[red]:cloud:")).vehicles = 3
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=80, emoji=False, markup=False)
    terminal.print(render(view, progress(plan()), 80, 24))
    assert "[red]:cloud:" in shown.getvalue()


def test_before_anybody_is_there_nothing_but_words_is_shown() -> None:
    assert lines(View()) == [
        "7 s, simulated 0 s at x0; 0 vehicles in 0 PLVNs; 120 messages/s",
        "starting: networks warm up, servers come online",
        "0 meta models, 0 retrainings, 0 refused; Ctrl-C ends it",
    ]


def test_a_remark_is_shown_whole() -> None:
    remark = "builtin vehicles stand in for sumo: " + "libGL.so.1 is missing; " * 5
    drawn = lines(busy(1, InmfId("coop-perception")), remark=remark.strip())
    assert " ".join(drawn[-2:]) == remark.strip()


@pytest.mark.parametrize(
    ("name", "width", "cut"),
    [
        ("berlin-highway-rsu1", 19, "berlin-highway-rsu1"),
        ("berlin-highway-rsu1", 11, "berli…-rsu1"[:6] + "-rsu1"),
        ("東京東京東京", 9, "東京 …京東京"[:2] + "…東京"),
    ],
)
def test_names_lose_their_middle(name: str, width: int, cut: str) -> None:
    assert cut_middle(name, width).replace(" ", "") == cut
    assert cell_len(cut_middle(name, width)) <= width


def test_what_happens_is_said_to_its_end() -> None:
    view = busy(8, *BOTH)
    view.rounds = {"a": training("", 60, "scaling-1"), "b": training("", 10)}
    said = " ".join(lines(view)[1:3])
    assert said == (
        "online: 8 of 16 act by a model of their own, 8 on probation; "
        "vnf-scaling: training the super model, 60 of 150, and 1 more"
    )
