"""How many files a process may open."""

import resource

import pytest

from twintier.launch.files import OpenFilesError, allow_open_files


def test_the_limit_is_raised_as_far_as_is_needed_and_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = (64, 1000)
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, to: raised.append(to))
    allow_open_files(64)
    assert raised == []
    allow_open_files(232)
    assert raised == [(232, 1000)]
    with pytest.raises(OpenFilesError, match=r"1001 files .* and 1000 allowed; .*ulimit -n 1001"):
        allow_open_files(1001)
