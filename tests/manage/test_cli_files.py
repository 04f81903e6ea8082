"""Files of other programs: whole or not at all, modes, copies, symbolic links."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from omniroute.errors import OmniError
from omniroute.manage.cli_files import KEPT, Home
from omniroute.manage.cli_tools import TOOLS

CLAUDE = TOOLS["claude"]
FILE = CLAUDE.files[0]
NOW = 1_750_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", tmp_path / "data" / "cli_backups")


def existing(home: Home, text: str = "{}", mode: int = 0o640) -> Path:
    path = home.path(FILE)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_file_reads_as_none_and_is_made_for_its_owner_alone(home: Home) -> None:
    assert home.read(FILE) is None
    home.write(CLAUDE, FILE, "new", NOW)
    path = home.path(FILE)
    assert (path.read_text(), mode_of(path), mode_of(path.parent)) == ("new", 0o600, 0o700)
    assert home.copies(CLAUDE) == []
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.json"]


def test_an_existing_file_keeps_its_mode_and_leaves_a_copy(home: Home) -> None:
    path = existing(home, "old")
    home.write(CLAUDE, FILE, "new", NOW)
    assert (home.read(FILE), mode_of(path)) == ("new", 0o640)
    (row,) = home.copies(CLAUDE)
    assert (row.tool_id, row.original_path, row.size) == ("claude", str(path), 3)
    assert row.created_at == "2025-06-15T15:06:40.000Z"
    copy = home.backups / "claude" / row.id
    assert (copy.read_text(), mode_of(copy), mode_of(copy.parent)) == ("old", 0o600, 0o700)


def test_the_newest_copies_are_kept(home: Home) -> None:
    existing(home, "text 0")
    for number in range(1, KEPT + 4):
        home.write(CLAUDE, FILE, f"text {number}", NOW)  # all in the same moment
    rows = home.copies(CLAUDE)
    assert len(rows) == KEPT
    texts = [(home.backups / "claude" / row.id).read_text() for row in rows]
    assert texts == [f"text {number}" for number in range(KEPT + 2, 2, -1)]


def test_a_copy_is_put_back_and_can_be_deleted(home: Home) -> None:
    existing(home, "old")
    home.write(CLAUDE, FILE, "new", NOW)
    (row,) = home.copies(CLAUDE)
    assert home.restore(CLAUDE, row.id, NOW + 1) == home.path(FILE)
    assert home.read(FILE) == "old"
    assert len(home.copies(CLAUDE)) == 2
    home.forget(CLAUDE, row.id)
    assert len(home.copies(CLAUDE)) == 1


@pytest.mark.parametrize("name", ["", "..", "../../x", "2025-06-15T15-06-40-000Z_000_settings.json", "/etc/passwd", "a\0b"])
def test_an_unknown_copy_is_404(home: Home, name: str) -> None:
    for call in (lambda: home.restore(CLAUDE, name, NOW), lambda: home.forget(CLAUDE, name)):
        with pytest.raises(OmniError) as caught:
            call()
        assert (caught.value.status, caught.value.message) == (404, "Backup not found")


@pytest.mark.parametrize("depth", [0, 1])
def test_a_symbolic_link_is_never_followed(home: Home, tmp_path: Path, depth: int) -> None:
    victim = tmp_path / "victim"
    home.folder.mkdir()
    if depth:
        (home.folder / ".claude").mkdir()
        victim.write_text("precious")
        home.path(FILE).symlink_to(victim)
    else:
        victim.mkdir()
        (home.folder / ".claude").symlink_to(victim)
    for call in (lambda: home.read(FILE), lambda: home.write(CLAUDE, FILE, "x", NOW)):
        with pytest.raises(OmniError, match="symbolic link") as caught:
            call()
        assert caught.value.status == 409
    assert victim.read_text() == "precious" if depth else [*victim.iterdir()] == []


def test_what_is_no_text_file_is_named(home: Home) -> None:
    path = existing(home)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(OmniError, match=r"settings\.json is left as it is: it is not UTF-8"):
        home.read(FILE)
    path.unlink()
    path.mkdir()
    with pytest.raises(OmniError, match="not a regular file"):
        home.read(FILE)
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("")
    with pytest.raises(OmniError, match="not a regular file"):
        home.write(CLAUDE, FILE, "x", NOW)


def test_a_failed_write_leaves_the_old_file_and_no_draft(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = existing(home, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("omniroute.manage.cli_files.os.fsync", full)
    with pytest.raises(OmniError, match="No space left"):
        home.write(CLAUDE, FILE, "new", NOW)
    assert path.read_text() == "old"
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.json"]
    assert home.copies(CLAUDE) == []
