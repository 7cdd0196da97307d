"""The page on learning quotes what the kept runs measured."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/learning.md").read_text(encoding="utf-8")
UPDATES = ("0", "1", "2", "3", "5", "10")


def kept(name: str) -> dict[str, dict[str, dict[str, float]]]:
    path = ROOT / "docs/benchmarks" / f"{name}.json"
    figures: dict[str, dict[str, dict[str, float]]] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def shown(number: float) -> str:
    return f"{number:.3f}".replace("0.", ".", 1)


@pytest.mark.parametrize(
    ("arm", "title"),
    [
        ("mixture_reheated", "mixture, reheated"),
        ("mixture_longer", "mixture, 1,000 iterations, reheated"),
        ("maml_k3", "**MAML, 3 inner steps, judged after each**"),
        ("fomaml_k3", "first-order MAML, 3 inner steps, judged after each"),
        ("maml_k1", "MAML, 1 inner step"),
        ("fomaml", "first-order MAML, 1 inner step, then PPO at once"),
        ("reptile", "Reptile, 3 inner steps, then PPO at once"),
        ("transfer", "transfer from another condition's expert"),
        ("scratch", "scratch"),
    ],
)
def test_the_table_of_starts_is_that_of_the_kept_run(arm: str, title: str) -> None:
    shares = kept("meta")["share_of_expert"]
    rows = PAGE.partition("## Does a meta model pay?")[2]
    row = re.search(rf"^\| {re.escape(title)} \| (.+) \|$", rows, re.MULTILINE)
    assert row
    cells = row[1].split(" | ")
    assert [cell.split(" +- ")[0] for cell in cells] == [shown(shares[arm][k]) for k in UPDATES]


def test_the_sinusoids_reach_the_published_errors() -> None:
    errors = kept("sinusoid")["maml"]
    assert errors["5"]["1"] <= 0.75
    assert errors["5"]["10"] <= 0.40
    assert errors["10"]["1"] <= 0.45
    for points in ("5", "10"):
        for steps in ("1", "5", "10"):
            assert shown(errors[points][steps]) in PAGE
