import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone.home import prepare_home, secret_key


def test_the_home_is_made_for_its_owner_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPLETION_AGGREGATOR_HOME", str(tmp_path / "a" / "b"))
    home = prepare_home()
    assert home == tmp_path / "a" / "b"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert prepare_home() == home


def test_a_home_that_exists_keeps_its_mode(monkeypatch, tmp_path):
    tmp_path.chmod(0o750)
    monkeypatch.setenv("COMPLETION_AGGREGATOR_HOME", str(tmp_path))
    assert stat.S_IMODE(prepare_home().stat().st_mode) == 0o750


def test_without_the_variable_it_is_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("COMPLETION_AGGREGATOR_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in prepare_home().parents


def test_a_home_that_cannot_be_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COMPLETION_AGGREGATOR_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InvalidSetting, match=r"COMPLETION_AGGREGATOR_HOME=.*cannot make this folder"):
        prepare_home()


def test_the_secret_key_is_made_once_for_its_owner(tmp_path):
    key = secret_key(tmp_path)
    assert len(key) >= 50
    assert secret_key(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_processes_that_start_together_get_the_same_key(tmp_path):
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(secret_key, [folder] * 8))) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 80])
def test_a_damaged_key_is_not_used(tmp_path, content):
    (tmp_path / "secret_key").write_bytes(content)
    with pytest.raises(InvalidSetting, match="secret_key"):
        secret_key(tmp_path)
