"""`python -m bench NAME [--json FILE]`: runs `bench/NAME.py` and shows or saves its figures.

A benchmark is a module with `run() -> Mapping`, plain numbers inside. It measures everything that
it reports, in that run. One that says `passed` ends with 1 if it has not.
"""

import argparse
import json
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import bench
from twintier.runtime.one_thread import use_one_thread

use_one_thread()  # before a benchmark imports numpy


def names() -> list[str]:
    """Benchmarks that can be run."""
    return sorted(
        module.name for module in iter_modules(bench.__path__) if not module.name.startswith("_")
    )


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = import_module(f"bench.{options.name}").run()
    text = json.dumps(figures, indent=2, sort_keys=True)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    if figures.get("passed") is False:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
