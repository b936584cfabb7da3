"""Bytes in use, counted within bounds."""

from pathlib import Path

import pytest

from backend.services import sizes
from backend.services.sizes import folder_size, free_bytes


def test_a_folder_is_measured_four_levels_deep(tmp_path: Path) -> None:
    deep = tmp_path / "run" / "shards"
    deep.mkdir(parents=True)
    (tmp_path / "a").write_bytes(b"x" * 10)
    (deep / "b").write_bytes(b"x" * 200)
    (tmp_path / "link").symlink_to(deep / "b")
    assert folder_size(tmp_path) == (210, True)
    assert folder_size(tmp_path / "nowhere") == (0, True)


def test_more_files_than_are_looked_at_make_a_lower_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MAX_FILES", 3)
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"x" * 10)
    assert folder_size(tmp_path) == (30, False)


def test_a_disk_has_something_left_and_a_missing_folder_has_no_disk(tmp_path: Path) -> None:
    assert (free_bytes(tmp_path) or 0) > 0
    assert free_bytes(tmp_path / "nowhere") is None
