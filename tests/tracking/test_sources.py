import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import fsspec  # type: ignore[import-untyped] # it has no types
import pytest

from completion_aggregator.tracking.errors import Unreadable
from completion_aggregator.tracking.sources import chronological, listed, opened, opened_at, shown
from tests.tracking import servers


def fill(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(location: str | Path, **options: object) -> list[str]:
    return [source.name for source in listed(str(location), **options)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with servers.s3_server() as url:
        yield url


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def test_the_logs_of_a_folder_are_those_that_are_finished_and_named_so(tmp_path: Path):
    fill(
        tmp_path, "tracking.log", "a/tracking.log-20240102.gz", "a/b/tracking.log-20240101.gz", "events.log", "x.log.3",
        "x.log.20", "notes.txt", ".hidden.log", ".cache/x.log", "x.log~", "x.log.tmp", "x.log.part", "dump.tar.gz",
        "a.sql.gz", "old.gz",
    )  # fmt: skip
    assert names(tmp_path) == [
        "a/b/tracking.log-20240101.gz", "a/tracking.log-20240102.gz", "events.log", "old.gz", "tracking.log", "x.log.3",
        "x.log.20",
    ]  # fmt: skip


def test_a_source_says_what_changes_when_the_file_does(tmp_path: Path):
    fill(tmp_path, "a.log")
    (source,) = listed(str(tmp_path))
    at = (tmp_path / "a.log").stat()
    assert (source.url, source.size) == (str(tmp_path / "a.log"), 5)
    assert source.stamp == f"5-{at.st_mtime_ns}-{at.st_ctime_ns}-{at.st_ino}"
    with opened(source) as stream:
        assert stream.read() == b"a.log"
    with opened_at(source, 2) as stream:
        assert stream.read() == b"log"


def test_a_pattern_chooses_by_name_or_by_path(tmp_path: Path):
    fill(tmp_path, "a/x.txt", "b/x.txt", "b/y.log", "b/.x.txt")
    assert names(tmp_path, pattern="*.txt") == ["a/x.txt", "b/x.txt"]
    assert names(tmp_path, pattern="b/*") == ["b/x.txt", "b/y.log"]


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path):
    fill(tmp_path, "odd.name", "x[1].log")
    assert names(tmp_path / "odd.name") == ["odd.name"]
    assert names(tmp_path / "x[1].log") == ["x[1].log"]


def test_a_glob_may_name_files_and_folders(tmp_path: Path):
    fill(tmp_path, "app1/2024/x.log", "app1/readme", "app2/2024/x.log", "other/x.log", "app3.txt", "app4.txt~")
    assert names(f"{tmp_path}/app*") == ["app1/2024/x.log", "app2/2024/x.log", "app3.txt"]
    with pytest.raises(Unreadable, match="no file has such a name"):
        names(f"{tmp_path}/nothing*")


def test_links_are_followed_but_never_in_a_circle(tmp_path: Path):
    fill(tmp_path, "real/a.log", "elsewhere/b.log")
    logs = tmp_path / "real"
    (logs / "loop").symlink_to(logs)
    (logs / "up").symlink_to(tmp_path)
    (logs / "broken.log").symlink_to(tmp_path / "nothing")
    (logs / "file.log").symlink_to(tmp_path / "elsewhere" / "b.log")
    os.mkfifo(logs / "pipe.log")
    assert names(logs) == ["a.log", "broken.log", "file.log", "up/elsewhere/b.log"]


def test_a_link_to_nothing_or_to_itself_is_told_by_whoever_opens_it(tmp_path: Path):
    fill(tmp_path, "a.log")
    (tmp_path / "broken.log").symlink_to(tmp_path / "nothing")
    (tmp_path / "self.log").symlink_to("self.log")
    whole, broken, loop = listed(str(tmp_path))
    opened(whole).close()
    with pytest.raises(Unreadable, match=r"broken\.log cannot be read: No such file"):
        opened(broken)
    with pytest.raises(Unreadable, match=r"self\.log cannot be read: Too many levels of symbolic links"):
        opened(loop)


def test_a_name_that_is_no_text_is_read_by_it_and_shown_escaped(tmp_path: Path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.log")).write_bytes(b"a")
    (source,) = listed(str(tmp_path))
    assert source.url == f"{tmp_path}/a\\xff.log"
    with opened(source) as stream:
        assert stream.read() == b"a"
    Path(source.path).unlink()
    with pytest.raises(Unreadable) as told:
        opened(source)
    assert str(told.value).startswith(f"{tmp_path}/a\\xff.log cannot be read")


@pytest.mark.parametrize("location", ["", "{}/nothing", "{}/a.log/below", "{}/pipe", "nul\0l"])
def test_what_cannot_be_listed_is_told(tmp_path: Path, location: str):
    fill(tmp_path, "a.log")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable):
        names(location.format(tmp_path))


def test_a_file_that_went_away_is_told(tmp_path: Path):
    fill(tmp_path, "a.log")
    (source,) = listed(str(tmp_path))
    (tmp_path / "a.log").unlink()
    with pytest.raises(Unreadable, match=r"a\.log cannot be read: No such file"):
        opened(source)


def test_the_order_is_by_date_then_by_number():
    expected = [
        "z/2023-12-31.log", "b/tracking.log-20240101-2.gz", "b/tracking.log-20240101-10.gz", "2024/02/x-20240203.log",
        "x-12345678.log", "x.log.2", "x.log.10",
    ]  # fmt: skip
    assert sorted(set(expected), key=chronological) == expected


def test_files_of_any_system_are_listed_and_read(memory):
    for name in ("tracking.log-20240102", "sub/tracking.log-20240101", "readme.txt", ".x.log"):
        with memory.open(f"/logs/{name}", "wb") as file:
            file.write(name.encode() * 100_000)
    first, second = listed("memory://logs")
    assert (first.name, second.name) == ("sub/tracking.log-20240101", "tracking.log-20240102")
    assert (first.url, first.size) == ("memory:///logs/sub/tracking.log-20240101", 2_500_000)
    with opened(first) as stream:
        assert stream.read() == b"sub/tracking.log-20240101" * 100_000
    with opened_at(first, 2_499_990) as stream:
        assert stream.read() == b"g-20240101"
    assert names("memory://logs/readme.txt") == ["readme.txt"]
    assert names("memory://logs/*.txt") == ["readme.txt"]
    assert names("memory://logs", pattern="*.txt") == ["readme.txt"]
    with pytest.raises(Unreadable, match="memory://nowhere cannot be read"):
        names("memory://nowhere")
    with pytest.raises(Unreadable, match="no file has such a name"):
        names("memory://logs/*.nothing")


def test_an_object_store_is_listed_by_prefix(endpoint: str, monkeypatch):
    servers.may_use_s3(monkeypatch)
    client = servers.bucket(endpoint, "listing")
    for name in ("tracking/app1/tracking.log-20240102.gz", "tracking/app2/tracking.log-20240101.gz", "other/x.log"):
        client.put_object(Bucket="listing", Key=name, Body=name.encode())
    options = {"endpoint_url": endpoint}
    expected = ["app2/tracking.log-20240101.gz", "app1/tracking.log-20240102.gz"]
    assert names("s3://listing/tracking", options=options) == expected
    assert names("s3://listing/tracking/", options=options) == expected
    assert names("s3://listing/tracking/app1", options=options) == ["tracking.log-20240102.gz"]
    assert names("s3://listing/tracking/app", options=options) == expected
    assert names("s3://listing/*/*.log", options=options) == ["other/x.log"]
    assert len(names("s3://listing", options=options)) == 3
    (source,) = listed("s3://listing/other/x.log", options=options)
    etag = client.head_object(Bucket="listing", Key="other/x.log")["ETag"].strip('"')
    assert (source.url, source.etag, source.stamp) == ("s3://listing/other/x.log", etag, f"11-{etag}")
    with opened_at(pickle.loads(pickle.dumps(source)), 6) as stream:
        assert stream.read() == b"x.log"


def test_an_object_store_that_refuses_is_told_without_secrets(endpoint: str, monkeypatch):
    servers.may_use_s3(monkeypatch)
    once = {"config_kwargs": {"retries": {"max_attempts": 1}}}
    with pytest.raises(Unreadable, match=r"s3://absent/x cannot be read") as caught:
        names("s3://absent/x", options={"endpoint_url": endpoint})
    assert "hidden-secret" not in str(caught.value)
    with pytest.raises(Unreadable, match=r"s3://listing cannot be read"):
        names("s3://listing", options={"endpoint_url": "http://127.0.0.1:9", **once})


def test_another_machine_is_listed_over_ssh(tmp_path: Path, monkeypatch):
    root = tmp_path / "root"
    fill(root, "logs/a/tracking.log-20240101", "logs/tracking.log", "logs/readme")
    (root / "logs" / "link.log").symlink_to(root / "logs" / "tracking.log")
    (root / "logs" / "loop").symlink_to(root / "logs")
    (root / "logs" / "self.log").symlink_to("self.log")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with servers.sftp_server(root, tmp_path / "home") as address:
        first, *others = listed(f"{address}/logs")
        listed_names = [each.name for each in (first, *others)]
        assert listed_names == ["a/tracking.log-20240101", "link.log", "self.log", "tracking.log"]
        with pytest.raises(Unreadable, match=r"self\.log cannot be read"):
            opened(others[1])
        assert first.url == f"{address}/logs/a/tracking.log-20240101"
        with opened_at(pickle.loads(pickle.dumps(first)), 7) as stream:
            assert stream.read() == b"tracking.log-20240101"
        with pytest.raises(Unreadable, match="/nowhere cannot be read: No such file"):
            names(f"{address}/nowhere")


def test_a_machine_that_is_not_known_is_not_trusted(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with servers.sftp_server(tmp_path, tmp_path / "home") as address:
        (tmp_path / "home" / ".ssh" / "known_hosts").unlink()
        with pytest.raises(Unreadable, match=r"is not in ~/\.ssh/known_hosts"):
            names(f"{address}/logs")


def test_settings_of_ssh_count(tmp_path: Path, monkeypatch):
    fill(tmp_path / "root", "logs/x.log")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with servers.sftp_server(tmp_path / "root", tmp_path / "home") as address:
        port = address.rpartition(":")[2]
        ssh = tmp_path / "home" / ".ssh"
        (ssh / "id_ecdsa").rename(ssh / "other")
        (ssh / "config").write_text(
            f"Host archive\n HostName 127.0.0.1\n Port {port}\n User logs\n IdentityFile {ssh / 'other'}\n"
        )
        assert names("sftp://archive/logs") == ["x.log"]


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("sftp://user:pw-secret@host/x", "was given with a password"),
        ("s3://key:pw-secret@bucket/x", "was given with a password"),
        ("nonsense://x", "Protocol not known"),
        ("file:///x", "without file://"),
        ("s3://", "Cannot traverse all of S3. Places are a path, s3://bucket/prefix"),
        ("sftp://", "argument: 'host'. Places are a path"),
        ("sftp:///x", "argument: 'host'. Places are a path"),
        ("github://a", "'org' and 'repo'. Places are a path"),
        ("http://[::1", "give the host by its name"),
        ("sftp://logs@[::1]/x", "give the host by its name"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(location: str, why: str):
    with pytest.raises(Unreadable, match=why) as caught:
        names(location)
    assert "pw-secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["zip", "tar"])
def test_an_archive_that_is_none_is_told(tmp_path: Path, scheme: str):
    fill(tmp_path, "e.csv")
    with pytest.raises(Unreadable, match="cannot be read"):
        names(f"{scheme}://x::{tmp_path}/e.csv")


def test_an_address_is_shown_without_what_opens_it():
    assert shown("https://me:pw@x.org/logs/a.log?X-Amz-Signature=abc") == "https://me@x.org/logs/a.log"
    assert shown("s3://bucket/a?b") == "s3://bucket/a?b"
    assert shown("/a/b?c") == "/a/b?c"
