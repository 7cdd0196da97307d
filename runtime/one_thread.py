"""One thread a process for the libraries behind numpy and torch: small networks are slower on two.

They read the environment when they are loaded, so this module imports nothing.
"""

import os

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def use_one_thread() -> None:
    """Ask for one thread in this process and its children, where nothing else is asked for."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
