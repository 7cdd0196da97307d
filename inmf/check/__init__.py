"""What every INMF is held to, ours and those of other packages: `check(inmf)`.

Functions without a test framework, so that the command line runs what the test suite runs.
"""

from twintier.inmf.check.findings import Finding
from twintier.inmf.check.suite import CHECKS, check

__all__ = ["CHECKS", "Finding", "check"]
