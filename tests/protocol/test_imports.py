import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(("twintier", *path.relative_to(ROOT).with_suffix("").parts))
    for path in (ROOT / "protocol").rglob("*.py")
    if path.stem != "__init__"
)


def test_every_module_can_be_the_first_that_is_imported() -> None:
    script = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m.startswith('twintier.protocol')]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
    command = [sys.executable, "-c", script, *MODULES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("heavy", ["torch", "sqlalchemy", "aiomqtt"])
def test_the_wire_needs_nothing_heavy(heavy: str) -> None:
    modules = "twintier.protocol.codec, twintier.protocol.document"
    script = f"import sys, {modules}; print({heavy!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
