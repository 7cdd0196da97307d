import pytest

from twintier.launch.problems import say_missing


def test_a_command_that_the_base_install_lacks_something_for_names_the_extra(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert say_missing(ModuleNotFoundError(name="sqlalchemy")) == 2
    what, _, following = capsys.readouterr().err.splitlines()
    assert what == "twintier: this command needs sqlalchemy"
    assert following == "  next: pip install 'twintier[twins]'"


def test_a_module_that_no_extra_brings_is_a_fault_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'twintier\.absent'"):
        say_missing(ModuleNotFoundError("No module named 'twintier.absent'", name="absent"))
