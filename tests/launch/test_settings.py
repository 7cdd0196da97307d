"""Settings: one path for file, environment and option, and what is said of what cannot be."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twintier.cloud_twin.settings import CloudSettings
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.cli.app import app
from twintier.launch.exit_codes import PAGES, ExitCode
from twintier.launch.settings.described import described
from twintier.launch.settings.errors import SettingError
from twintier.launch.settings.model import defaults
from twintier.launch.settings.own import CertsSettings, DeploymentSettings
from twintier.launch.settings.resolve import Given, Settings, variable
from twintier.launch.settings.tree import BOUNDS, COMPUTED, MEANINGS, PLUGINS

NESTED = """
[cloud]
tasks = 5
[edge.adaptation]
episodes = 7
[edge.adaptation.ppo]
clip = 0.3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.toml"
    path.write_text(NESTED)
    return path


def refused(given: Given) -> tuple[str, str, str]:
    with pytest.raises(SettingError, match="; ") as caught:
        list(Settings(given).origins())
    return caught.value.what, caught.value.why, caught.value.following


def test_every_setting_is_described_as_its_class_has_it() -> None:
    starts = defaults()
    assert set(described()) == set(starts) - COMPUTED
    assert [path for path, setting in described().items() if not setting.meaning] == []
    assert {*BOUNDS, *PLUGINS, *MEANINGS} <= set(starts)


def test_a_meaning_is_written_once() -> None:
    for path in MEANINGS:
        assert described()[path].meaning == MEANINGS[path]


def test_without_anything_set_a_section_is_its_class() -> None:
    settings = Settings(Given())
    assert settings.of(CloudSettings) == CloudSettings()
    assert settings.of(EdgeSettings) == EdgeSettings()


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings(Given(config=file)).of(CloudSettings).tasks == 5
    monkeypatch.setenv("TWINTIER_CLOUD__TASKS", "6")
    assert Settings(Given(config=file)).of(CloudSettings).tasks == 6
    sets = ("cloud.tasks=7",)
    assert Settings(Given(config=file, sets=sets)).of(CloudSettings).tasks == 7
    named = Given({"cloud.tasks": "8"}, file, sets)
    assert Settings(named).of(CloudSettings).tasks == 8


def test_a_part_of_a_group_leaves_its_other_parts_as_the_class_has_them(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINTIER_CONFIG", str(file))
    monkeypatch.setenv("TWINTIER_EDGE__ADAPTATION__UPDATES", "9")
    adaptation = Settings(Given()).of(EdgeSettings).adaptation
    started = EdgeSettings().adaptation
    assert (adaptation.episodes, adaptation.updates, adaptation.ppo.clip) == (7, 9, 0.3)
    assert adaptation.teacher_steps == started.teacher_steps == 40
    assert adaptation.ppo.minibatch_slots == started.ppo.minibatch_slots == 500


def test_several_words_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINTIER_DEPLOYMENT__INMFS", "vnf-scaling, coop-perception")
    assert Settings(Given()).of(DeploymentSettings).inmfs == ("vnf-scaling", "coop-perception")
    assert Settings(Given({"certs.hosts": "x,y"})).of(CertsSettings).hosts == ("x", "y")


def test_an_inmf_that_is_named_twice_counts_once() -> None:
    twice = Given({"deployment.inmfs": "vnf-scaling,vnf-scaling"})
    assert Settings(twice).of(DeploymentSettings).inmfs == ("vnf-scaling",)


@pytest.mark.parametrize("value", ["vnf-scalin", ""])
def test_an_inmf_that_is_not_installed_is_refused_with_those_that_are(value: str) -> None:
    what, why, following = refused(Given({"deployment.inmfs": value}))
    assert what.startswith("deployment.inmfs cannot be ")
    assert "it must be one of coop-perception, " in why
    assert ("did you mean vnf-scaling" in why) == bool(value)
    assert following == "twintier config show deployment.inmfs"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("cloud.n_min", "0", "it must be a whole number, at least 1"),
        ("edge.lat_deg", "91", "it must be a number, -90 to 90"),
        ("edge.lon_deg", "nan", "it must be a number, -180 to 180"),
        ("host.speed", "inf", "it must be a number, at least 0.01"),
        ("broker.port", "1.5", "it must be a whole number, 1 to 65535"),
        ("broker.kind", "kafka", "it must be one of auto, mosquitto, nats"),
        ("cloud.algorithm", "sgd", "it must be one of fomaml, maml, reptile"),
        ("deployment.wait", "maybe", "it must be yes or no"),
    ],
)
def test_a_value_that_cannot_be_is_said_with_what_it_must_be(
    path: str, value: str, expected: str
) -> None:
    what, why, following = refused(Given({path: value}))
    assert what == f"{path} cannot be {value!r}"
    assert why == f"an option sets it; {expected}"
    assert following == f"twintier config show {path}"


def test_who_has_set_a_wrong_value_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[host]\nspeed = 0\n")
    assert refused(Given(config=wrong))[1].startswith(f"{wrong} sets it; ")
    monkeypatch.setenv("TWINTIER_HOST__SPEED", "fast")
    assert refused(Given(config=wrong))[1].startswith("TWINTIER_HOST__SPEED sets it; ")


def test_an_unknown_name_is_refused_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, why, following = refused(Given(sets=("cloud.nmin=3",)))
    assert what == "there is no setting cloud.nmin"
    assert why.startswith("--set names it; did you mean cloud.n_min or ")
    assert following == "twintier config show cloud.n_min"
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[clod]\ntasks = 1\n")
    what, why, following = refused(Given(config=wrong))
    assert what == "there is no setting clod.tasks"
    assert why.startswith(f"{wrong} sets it; did you mean cloud.tasks")
    monkeypatch.setenv("TWINTIER_CLOUD_N_MIN", "3")
    what, why, following = refused(Given())
    assert what == "there is no setting TWINTIER_CLOUD_N_MIN"
    assert why.startswith("the environment sets it; did you mean TWINTIER_CLOUD__N_MIN")
    assert following == "twintier config show cloud.n_min"


def test_a_variable_for_something_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINTIER_HISTORY_MESSAGES", "1")
    monkeypatch.setenv("TWINTIER_USERNAME", "e1")
    assert {each.origin for each in Settings(Given()).origins()} == {"default"}


@pytest.mark.parametrize("content", ["[cloud", None])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "deployment.toml"
    if content is not None:
        path.write_text(content)
    assert refused(Given(config=path))[0] == f"cannot read the settings in {path}"


def test_another_process_is_told_the_same(file: Path) -> None:
    given = Given({"cloud.seed": "4", "source.constant": True}, file, ("edge.seed=2",))
    words = given.again()
    assert words[:4] == ("--config", str(file), "--set", "edge.seed=2")
    again = Given(config=Path(words[1]), sets=words[3::2])
    assert [*Settings(again).origins()] == [*Settings(given).origins()]


def test_each_value_is_shown_with_its_origin(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINTIER_CLOUD__N_MIN", "7")
    words = ["config", "show", "cloud.", "-o", "json", "--config", str(file)]
    shown = CliRunner().invoke(app, [*words, "--set", "cloud.seed=4"])
    rows = {row["name"]: (row["value"], row["origin"]) for row in json.loads(shown.stdout)}
    assert rows["cloud.tasks"] == (5, str(file))
    assert rows["cloud.n_min"] == (7, variable("cloud.n_min")) == (7, "TWINTIER_CLOUD__N_MIN")
    assert rows["cloud.seed"] == (4, "option")
    assert rows["cloud.max_level"] == (3, "default")
    assert all(name.startswith("cloud.") for name in rows)


def test_a_check_says_whether_settings_are_good(file: Path) -> None:
    good = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert (good.exit_code, good.stdout) == (
        0,
        "settings are good; 3 are not as by default\n",
    )
    bad = CliRunner().invoke(app, ["config", "check", "--set", "host.speed=0"])
    assert (bad.exit_code, bad.stdout) == (2, "")
    assert bad.stderr.splitlines()[0] == "twintier: host.speed cannot be '0'"


def test_a_path_that_is_no_setting_is_not_shown() -> None:
    shown = CliRunner().invoke(app, ["config", "show", "cloud.taks"])
    assert shown.exit_code == 13
    what, why, following = shown.stderr.splitlines()
    assert what == "twintier: no setting begins with cloud.taks"
    assert why.startswith("  why: did you mean cloud.tasks")
    assert following == "  next: twintier config show cloud.tasks"


def test_a_check_and_an_exit_code_are_told_to_programs_too() -> None:
    words = ["config", "check", "--set", "host.speed=2", "-o", "json"]
    checked = CliRunner().invoke(app, words)
    assert json.loads(checked.stdout) == {"good": True, "changed": ["host.speed"]}
    page = json.loads(CliRunner().invoke(app, ["exit-code", "4", "-o", "json"]).stdout)
    assert (page["id"], page["meaning"]) == (4, PAGES[ExitCode.SOURCE].meaning)
    pages = json.loads(CliRunner().invoke(app, ["exit-code", "-o", "json"]).stdout)
    assert [each["id"] for each in pages] == [code.value for code in PAGES]
