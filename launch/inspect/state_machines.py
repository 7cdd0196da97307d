"""The page of state machines, drawn from their tables.

`python -m twintier.launch.inspect.state_machines docs/state-machines.md` writes it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from twintier.cloud_twin.round_states import TRAINING_ROUND
from twintier.edge_twin.life_cycle import INDIVIDUAL_MODEL
from twintier.runtime.delivery.states import LARGE_MESSAGE, UPLOAD_STREAM
from twintier.runtime.machine import Drawable

MACHINES: Sequence[Drawable] = (
    TRAINING_ROUND,
    INDIVIDUAL_MODEL,
    UPLOAD_STREAM,
    LARGE_MESSAGE,
)
"""In the order of the page: roles first, then delivery."""
HEAD = """\
# State machines

Written by `python -m twintier.launch.inspect.state_machines`; edit the tables instead. The code
runs the same tables: an event that a state has no arrow for cannot come in it.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [
        f"## {machine.name.capitalize()}\n\n{machine.says}\n\n```mermaid\n{machine.drawn()}\n```\n"
        for machine in MACHINES
    ]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
