from pathlib import Path

from twintier.launch.inspect.state_machines import page

PAGE = Path(__file__).parents[3] / "docs" / "state-machines.md"


def test_the_page_is_drawn_from_the_present_tables() -> None:
    command = "python -m twintier.launch.inspect.state_machines docs/state-machines.md"
    assert PAGE.read_text(encoding="utf-8") == page(), f"run {command}"
