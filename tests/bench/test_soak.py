"""A part of the soak counts as passed only if its tests ran and none failed."""

import xml.etree.ElementTree as ET

from bench.soak import read_cases

RAN = '<testcase name="a"><properties><property name="messages" value="7"/></properties></testcase>'
SKIPPED = '<testcase name="b"><skipped message="no broker"/></testcase>'
FAILED = '<testcase name="c"><failure message="lost"/></testcase>'


def read(*cases: str, code: int | None = 0) -> dict[str, object]:
    return read_cases([ET.fromstring(case) for case in cases], code)  # noqa: S314  # ours


def test_a_part_that_ran_has_passed_and_shows_figures_and_what_was_left_out() -> None:
    assert read(RAN, SKIPPED) == {
        "passed": True,
        "exit_code": 0,
        "ran": 1,
        "failed": [],
        "skipped": {"b": "no broker"},
        "figures": {"a": {"messages": "7"}},
    }


def test_a_part_that_failed_was_skipped_whole_or_was_ended_has_not_passed() -> None:
    assert read(RAN, FAILED, code=1)["passed"] is False
    assert read(RAN, FAILED, code=1)["failed"] == ["c"]
    assert read(SKIPPED)["passed"] is False
    assert read(code=5)["passed"] is False
    assert read(RAN, code=None)["passed"] is False
