from pathlib import Path

from twintier.protocol.document import page

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_protocol_page_says_what_the_catalogue_says() -> None:
    remedy = f"run python -m twintier.protocol.document {PAGE}"
    assert PAGE.read_text(encoding="utf-8") == page(), remedy
