"""Settings: where they come from and what they refuse."""

from pathlib import Path

import pytest

from analysis.errors import InputError
from backend.settings import Settings


def test_every_setting_says_what_it_does() -> None:
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPERTSCOPE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EXPERTSCOPE_PORT", "9001")
    monkeypatch.setenv("EXPERTSCOPE_MODEL_ROOTS", '["/models"]')
    settings = Settings()
    assert (settings.data_dir, settings.port, settings.model_roots) == (tmp_path, 9001, [Path("/models")])


def test_databases_lie_in_the_data_folder_unless_said_otherwise(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path / 'expertscope.db'}"
    assert Settings(database_url="postgresql+psycopg://db/x").database == "postgresql+psycopg://db/x"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1"])
def test_loopback_needs_no_confirmation(host: str) -> None:
    Settings(host=host).check_exposure()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "expertscope.example"])
def test_a_network_address_needs_confirmation(host: str) -> None:
    with pytest.raises(InputError, match="EXPERTSCOPE_ACCOUNTS"):
        Settings(host=host).check_exposure()
    Settings(host=host, accounts=True).check_exposure()
