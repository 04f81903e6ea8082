"""Configure, look, take back: on files in a home folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes_manage import Admin

from omniroute.errors import OmniError
from omniroute.manage.cli_edits import Wanted
from omniroute.manage.cli_setup import CliSetup
from omniroute.manage.cli_tools import TOOLS

WANTED = Wanted("http://127.0.0.1:20128/v1", "sk-ours", "openai/gpt-4o")
CODEX = TOOLS["codex"]


@pytest.fixture
def admin(make_admin: Callable[..., Admin], tmp_path: Path) -> Admin:
    return make_admin(cli_home=tmp_path / "home")


@pytest.fixture
def setup(admin: Admin) -> CliSetup:
    return CliSetup(admin.settings, admin.clock, admin.store)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "home" / ".codex"
    path.mkdir(parents=True)
    (path / "config.toml").write_text('# mine\nmodel = "gpt-5"\n')
    (path / "auth.json").write_text('{"OPENAI_API_KEY": "sk-mine"}')
    return path


def test_undoing_puts_the_users_own_values_back_even_after_two_writings(admin: Admin, setup: CliSetup, folder: Path) -> None:
    for _ in range(2):
        assert "omniroute" in admin.run(setup.configure(CODEX, WANTED)) or _
    assert json.loads((folder / "auth.json").read_text()) == {"OPENAI_API_KEY": "sk-ours"}
    assert list(admin.run(setup.configured_at())) == ["codex"]
    admin.run(setup.reset(CODEX))
    assert (folder / "config.toml").read_text().rstrip() == '# mine\nmodel = "gpt-5"'
    assert json.loads((folder / "auth.json").read_text()) == {"OPENAI_API_KEY": "sk-mine"}
    assert admin.run(setup.configured_at()) == {}


def test_a_key_beside_a_provider_that_the_user_wrote_by_hand_comes_back(admin: Admin, setup: CliSetup, folder: Path) -> None:
    """The section is named as ours is, but nothing was remembered when it was written."""
    by_hand = 'model = "p/m"\nmodel_provider = "omniroute"\n[model_providers.omniroute]\nenv_key = "OMNIROUTE_KEY"\n'
    (folder / "config.toml").write_text(by_hand)
    for _ in range(2):
        admin.run(setup.configure(CODEX, WANTED))
    admin.run(setup.reset(CODEX))
    assert json.loads((folder / "auth.json").read_text()) == {"OPENAI_API_KEY": "sk-mine"}
    assert (folder / "config.toml").read_text().strip() == ""


def test_an_unusable_file_is_named_in_the_error(admin: Admin, setup: CliSetup, folder: Path) -> None:
    (folder / "config.toml").write_text('model_providers = "none"\n')
    with pytest.raises(OmniError, match=r'config\.toml is left as it is: "model_providers" is not an object'):
        admin.run(setup.configure(CODEX, WANTED))
    assert (folder / "config.toml").read_text() == 'model_providers = "none"\n'


def test_a_preview_shows_and_writes_nothing(admin: Admin, setup: CliSetup, folder: Path) -> None:
    diff = admin.run(setup.configure(CODEX, WANTED, preview=True))
    assert '+base_url = "http://127.0.0.1:20128/v1"' in diff
    assert "sk-" not in diff
    assert admin.run(setup.reset(CODEX, preview=True)) == ""
    assert "omniroute" not in (folder / "config.toml").read_text()
    assert admin.run(setup.copies(None)) == []


def test_one_bad_file_of_two_keeps_both_from_being_written(admin: Admin, setup: CliSetup, folder: Path) -> None:
    (folder / "auth.json").write_text("{oops")
    before = (folder / "config.toml").read_bytes()
    with pytest.raises(OmniError, match=r"auth\.json is left as it is: it is not valid JSON \(line 1") as caught:
        admin.run(setup.configure(CODEX, WANTED))
    assert caught.value.status == 409
    assert (folder / "config.toml").read_bytes() == before
    assert admin.run(setup.copies(CODEX)) == []


def test_what_is_shown_has_no_secrets_and_says_what_is_wrong(admin: Admin, setup: CliSetup, folder: Path) -> None:
    (folder / "config.toml").write_text('model = "m"\n[mcp_servers.x.env]\nTOKEN = "planted"\n')
    shown = admin.run(setup.show(CODEX))
    assert (shown.text, shown.ours, shown.problem) == ('model = "m"\n[mcp_servers.x.env]\nTOKEN = "****"\n', False, "")
    (folder / "config.toml").write_text("model =")
    assert "config.toml is left as it is: it is not valid TOML" in admin.run(setup.show(CODEX)).problem


def test_a_writing_that_changes_nothing_leaves_no_copy(admin: Admin, setup: CliSetup, folder: Path) -> None:
    admin.run(setup.configure(CODEX, WANTED))
    count = len(admin.run(setup.copies(CODEX)))
    assert admin.run(setup.configure(CODEX, WANTED)) == ""
    assert len(admin.run(setup.copies(CODEX))) == count == 2


def test_a_copy_is_put_back_and_deleted(admin: Admin, setup: CliSetup, folder: Path) -> None:
    admin.run(setup.configure(CODEX, WANTED))
    row = next(row for row in admin.run(setup.copies(CODEX)) if row.original_path.endswith("config.toml"))
    assert admin.run(setup.restore(CODEX, row.id)) == str(folder / "config.toml")
    assert (folder / "config.toml").read_text().rstrip() == '# mine\nmodel = "gpt-5"'
    admin.run(setup.forget(CODEX, row.id))
    assert row.id not in [one.id for one in admin.run(setup.copies(None))]
