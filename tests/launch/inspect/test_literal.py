"""Text of others is printed as it is, and does nothing to the terminal."""

import pytest

from twintier.broker.memory import MemoryBus, MemoryDelivery, MemoryHub
from twintier.launch.inspect.output import as_text, literal, print_one, print_rows
from twintier.launch.inspect.watch import line_of


@pytest.mark.parametrize("text", ["[/up/x]", ":cloud:", "[bold]x", "ü|x"])
def test_marks_of_others_are_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"id": text}], ["id"], as_json=False)
    print_one({"id": text}, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["id", text, f"id  {text}"]


def test_what_would_move_the_cursor_is_written_out() -> None:
    assert literal("a\x1b[2Jb\n\x07") == r"a\x1b[2Jb\n\x07"
    assert as_text(["\x1b"]) == r"\x1b"


def test_a_refused_topic_is_one_line() -> None:
    bus = MemoryBus(MemoryHub())
    topic = "twintier/v1/\x1b[2J\n[/x]:cloud:"
    came = MemoryDelivery(bus, topic, b"", 1, retain=False, expiry=float("inf"))
    line = line_of(came, "twintier", as_json=False)
    assert r"twintier/v1/\x1b[2J\n[/x]:cloud: REFUSED " in line
    assert line.isprintable()
