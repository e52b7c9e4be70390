import errno
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped] # it has no types
import pytest

from completion_aggregator.tracking import pulling, sources
from completion_aggregator.tracking.errors import Unreadable
from completion_aggregator.tracking.pulling import Pulled, PullFailed, State, plan, pull
from tests.tracking import servers


class Silent:
    def show(self, done: int, text: str) -> None:
        pass


def put(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def held(folder: Path) -> dict[str, bytes]:
    """Return the copies in a folder; what is hidden is not among them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def pulled(location: str | Path, folder: Path, *, limit: int | None = None, **options: Any) -> Pulled:
    return pull(plan(str(location), folder, **options), folder, meter=Silent(), limit=limit)


def states(location: str | Path, folder: Path) -> list[State]:
    return [each.state for each in plan(str(location), folder)]


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    put(folder, {"a/tracking.log-20240101.gz": b"one", "tracking.log-20240102.gz": b"two" * 1000})
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with servers.s3_server() as url:
        yield url


class Broken(io.BytesIO):
    """Gives so many bytes, and breaks."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            raise Unreadable("the line went dead")
        return data


def breaking(monkeypatch: pytest.MonkeyPatch, *, after: int, fails: type[io.BytesIO] = Broken) -> list[int]:
    """Let transfers break after so many bytes; return the positions they began at."""
    began: list[int] = []

    def opened_at(source: sources.Source, offset: int) -> Any:
        began.append(offset)
        with sources.opened_at(source, offset) as stream:
            return fails(stream.read(after))

    monkeypatch.setattr(pulling, "opened_at", opened_at)
    return began


def test_new_files_are_copied_with_their_paths_and_then_known(there: Path, here: Path):
    assert states(there, here) == [State.NEW, State.NEW]
    result = pulled(there, here)
    assert held(here) == held(there)
    assert ([each.source.name for each in result.fetched], result.failed, result.bytes) == (
        ["a/tracking.log-20240101.gz", "tracking.log-20240102.gz"],
        [],
        3003,
    )
    assert states(there, here) == [State.KNOWN, State.KNOWN]
    assert pulled(there, here).fetched == []


@pytest.mark.parametrize(("place", "folder"), [("", ""), ("", "sub"), ("", "new/sub"), ("a.log", "")])
def test_copies_are_not_fetched_into_the_place_itself(tmp_path: Path, place: str, folder: str):
    put(tmp_path / "there", {"a.log": b"a", "sub/b.log": b"b"})
    with pytest.raises(PullFailed, match="pull into another folder"):
        plan(str(tmp_path / "there" / place), tmp_path / "there" / folder)
    assert len(plan(str(tmp_path / "there"), tmp_path / "there" / ".copies")) == 2
    assert len(plan(str(tmp_path / "there" / "a.log"), tmp_path / "there" / "sub")) == 1


def test_planning_writes_nothing(there: Path, here: Path):
    plan(str(there), here)
    assert not here.exists()


def test_a_limit_leaves_the_later_files_for_the_next_run(there: Path, here: Path):
    result = pulled(there, here, limit=1)
    assert (list(held(here)), result.left) == (["a/tracking.log-20240101.gz"], 1)
    assert states(there, here) == [State.KNOWN, State.NEW]


def test_a_log_that_grew_is_replaced(there: Path, here: Path):
    pulled(there, here)
    put(there, {"tracking.log-20240102.gz": b"two" * 1000 + b"more"})
    assert states(there, here) == [State.KNOWN, State.CHANGED]
    assert pulled(there, here).kept == []
    assert held(here) == held(there)


def test_of_a_file_that_became_another_one_the_old_copy_is_kept(there: Path, here: Path):
    pulled(there, here)
    for content in (b"new", b"newer"[::-1]):
        os.utime(here / "a/tracking.log-20240101.gz", (1_700_000_000, 1_700_000_000))
        put(there, {"a/tracking.log-20240101.gz": content})
        pulled(there, here)
    assert held(here) == held(there) | {
        "a/tracking.log-20240101.gz.20231114T221320Z": b"one",
        "a/tracking.log-20240101.gz.20231114T221320Z-2": b"new",
    }


def test_nothing_is_deleted_here_when_it_is_gone_there(there: Path, here: Path):
    pulled(there, here)
    before = held(here)
    (there / "tracking.log-20240102.gz").unlink()
    pulled(there, here)
    assert held(here) == before


def test_a_copy_that_was_damaged_or_deleted_is_fetched_again(there: Path, here: Path):
    pulled(there, here)
    (here / "tracking.log-20240102.gz").write_bytes(b"tw")
    (here / "a/tracking.log-20240101.gz").unlink()
    assert states(there, here) == [State.NEW, State.CHANGED]
    assert pulled(there, here).kept == []
    assert held(here) == held(there)


def test_without_its_record_copies_are_compared_by_content(there: Path, here: Path):
    pulled(there, here)
    (here / ".pulled.sqlite").unlink()
    assert states(there, here) == [State.CHANGED, State.CHANGED]
    assert pulled(there, here).kept == []
    assert held(here) == held(there)


def test_a_damaged_record_is_told(there: Path, here: Path):
    pulled(there, here)
    (here / ".pulled.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(PullFailed, match=r"\.pulled\.sqlite cannot be used: .*move it away"):
        plan(str(there), here)


def test_a_copy_of_one_place_is_not_overwritten_from_another(there: Path, here: Path, tmp_path: Path):
    pulled(there, here)
    put(tmp_path / "other", {"tracking.log-20240102.gz": b"else"})
    result = pulled(tmp_path / "other", here)
    ((url, reason),) = result.failed
    assert url == str(tmp_path / "other" / "tracking.log-20240102.gz")
    assert "pull this into another folder" in reason
    assert held(here) == held(there)


def test_a_transfer_that_broke_off_is_resumed(there: Path, here: Path, monkeypatch):
    with monkeypatch.context() as patch:
        breaking(patch, after=1000)
        result = pulled(there, here)
        assert result.failed == [
            (str(there / "tracking.log-20240102.gz"), "the line went dead"),
        ]
        assert list(held(here)) == ["a/tracking.log-20240101.gz"]
    began = breaking(monkeypatch, after=10_000, fails=io.BytesIO)
    result = pulled(there, here)
    assert (began, result.resumed_bytes, result.bytes) == ([1000], 1000, 2000)
    assert held(here) == held(there)
    assert list(here.rglob("*.part")) == []


def test_half_of_an_older_version_is_not_taken_for_the_new_one(there: Path, here: Path, monkeypatch):
    with monkeypatch.context() as patch:
        breaking(patch, after=1000)
        pulled(there, here)
    put(there, {"tracking.log-20240102.gz": b"2" * 5000})
    pulled(there, here)
    assert held(here) == held(there)


def test_a_file_that_ends_early_is_told_and_stays_to_be_resumed(there: Path, here: Path, monkeypatch):
    breaking(monkeypatch, after=2, fails=io.BytesIO)
    result = pulled(there, here)
    assert [reason.partition(" ended ")[2] for _, reason in result.failed] == [
        "after 2 of 3 bytes. The next run goes on there.",
        "after 2 of 3,000 bytes. The next run goes on there.",
    ]
    assert held(here) == {}


def test_a_log_that_grows_while_it_is_fetched_is_fetched_as_it_was_listed(there: Path, here: Path):
    planned = plan(str(there), here)
    with (there / "tracking.log-20240102.gz").open("ab") as file:
        file.write(b"later")
    pull(planned, here, meter=Silent())
    assert held(here)["tracking.log-20240102.gz"] == b"two" * 1000
    assert states(there, here) == [State.KNOWN, State.CHANGED]


def test_a_full_disk_ends_the_run_and_the_next_goes_on(there: Path, here: Path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(PullFailed, match=r"No space left on device\. What was fetched stays"):
            pulled(there, here)
        assert held(here) == {}
    result = pulled(there, here)
    assert (result.resumed_bytes, held(here)) == (3, held(there))


@pytest.mark.parametrize("name", ["../x.log", "a/../../x.log", "/x.log", "", "a\0.log", "..\\x.log"])
def test_a_name_that_leaves_the_folder_is_refused(here: Path, monkeypatch, name: str):
    monkeypatch.setattr(pulling, "listed", lambda *_, **__: [sources.Source("s3://b/x", name, 1, "1-a")])
    (planned,) = plan("s3://b", here)
    assert planned.state is State.REFUSED
    result = pull([planned], here, meter=Silent())
    assert [url for url, _ in result.failed] == ["s3://b/x"]
    assert held(here.parent) == {}


def test_a_link_in_the_folder_does_not_lead_out_of_it(there: Path, here: Path, tmp_path: Path):
    here.mkdir()
    (here / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    result = pulled(there, here)
    assert [url for url, _ in result.failed] == [str(there / "a/tracking.log-20240101.gz")]
    assert held(tmp_path / "elsewhere") == {}


def test_a_name_in_the_way_keeps_one_file_only(there: Path, here: Path):
    put(here, {"a": b"a file where a folder should be"})
    result = pulled(there, here)
    assert [url for url, _ in result.failed] == [str(there / "a/tracking.log-20240101.gz")]
    assert "tracking.log-20240102.gz" in held(here)


def test_two_runs_do_not_pull_into_one_folder_at_a_time(there: Path, here: Path):
    with pulling._locked(here), pytest.raises(PullFailed, match="Another process pulls into"):
        pulled(there, here)


def test_a_folder_that_cannot_be_written_is_told(there: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(PullFailed, match=r"Nothing can be written to .*file/here"):
        pulled(there, tmp_path / "file" / "here")


def test_files_of_any_system_are_pulled(memory: Any, here: Path):
    with memory.open("/logs/x/tracking.log", "wb") as file:
        file.write(b"abc" * 3_000_000)
    pulled("memory://logs", here)
    assert held(here) == {"x/tracking.log": b"abc" * 3_000_000}
    assert states("memory://logs", here) == [State.KNOWN]


def test_an_object_store_is_pulled_and_its_checksums_hold(endpoint: str, here: Path, monkeypatch):
    servers.may_use_s3(monkeypatch)
    client = servers.bucket(endpoint, "logs")
    client.put_object(Bucket="logs", Key="tracking/app1/tracking.log-20240101.gz", Body=b"one" * 400_000)
    options = {"endpoint_url": endpoint}
    began = breaking(monkeypatch, after=1000)
    pulled("s3://logs/tracking", here, options=options)
    monkeypatch.setattr(pulling, "opened_at", sources.opened_at)
    result = pulled("s3://logs/tracking", here, options=options)
    assert (began, result.resumed_bytes, result.bytes) == ([0], 1000, 1_199_000)
    assert held(here) == {"app1/tracking.log-20240101.gz": b"one" * 400_000}
    client.put_object(Bucket="logs", Key="tracking/app1/tracking.log-20240101.gz", Body=b"one" * 400_000 + b"!")
    (planned,) = plan("s3://logs/tracking", here, options=options)
    assert planned.state is State.CHANGED


def source_with(path: Path, etag: str) -> pulling.Planned:
    size = path.stat().st_size
    return pulling.Planned(sources.Source(str(path), path.name, size, etag, etag), State.NEW)


def test_a_resumed_file_with_a_wrong_checksum_is_fetched_whole(there: Path, here: Path, monkeypatch):
    path = there / "tracking.log-20240102.gz"
    planned = source_with(path, hashlib.md5(path.read_bytes()).hexdigest())
    with monkeypatch.context() as patch:
        breaking(patch, after=1000)
        pull([planned], here, meter=Silent())
    (part,) = here.rglob("*.part")
    part.write_bytes(b"?" * 1000)
    assert pull([planned], here, meter=Silent()).failed == []
    assert held(here) == {path.name: path.read_bytes()}


def test_a_file_that_comes_differently_each_time_is_refused(there: Path, here: Path, monkeypatch):
    path = there / "tracking.log-20240102.gz"
    contents = iter([b"x" * 3000, b"y" * 3000, b"z" * 3000])
    monkeypatch.setattr(pulling, "opened_at", lambda *_: io.BytesIO(next(contents)))
    result = pull([source_with(path, "0" * 32)], here, meter=Silent())
    assert [reason for _, reason in result.failed] == [
        f"{path} came with another checksum each time. It will be fetched again."
    ]
    assert held(here) == {}


def test_an_etag_that_is_no_checksum_is_not_held_against_the_file(there: Path, here: Path):
    path = there / "tracking.log-20240102.gz"
    result = pull([source_with(path, "0" * 32)], here, meter=Silent())
    assert (result.failed, held(here)) == ([], {path.name: path.read_bytes()})


def test_another_machine_is_pulled_over_ssh(there: Path, here: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with servers.sftp_server(tmp_path, tmp_path / "home") as address:
        pulled(f"{address}/there", here)
        assert held(here) == held(there)
        assert states(f"{address}/there", here) == [State.KNOWN, State.KNOWN]
