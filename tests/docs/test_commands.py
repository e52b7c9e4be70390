import pytest

from tests.docs.desk import REPOSITORY, lay_out_desk, run, surroundings
from tests.docs.pages import MARK, SERVED_PAGES, Fence, all_pages, differences, fences, is_shown, programs, script

FAILING = """
```console
$ false
$ touch reached
```
"""

PAGE = """
Text.

```console
$ one --option
what it prints
$ two \\
    --more
```

<!-- not run: it would never end -->
```console
$ three
```

<!-- file: a.csv -->
```text
username
```
"""

COMPARED = """
<!-- compared -->
```console
$ echo '{"a": 1, "b": 2}'
{"a": 1, ...}
$ true
```

```console
$ echo unseen
shown otherwise
```
"""

PROGRAMS = """
<!-- file: kept.py -->
```python
kept = 1
```

```python
print(1)
```

<!-- printed -->
```text
1
```

```python
pass
```
"""

PAGES = [page for page in all_pages(REPOSITORY) if script(page.read_text()) and page.name not in SERVED_PAGES]


def test_a_page_is_read_as_its_blocks():
    assert list(fences(PAGE)) == [
        Fence("console", "", "$ one --option\nwhat it prints\n$ two \\\n    --more\n"),
        Fence("console", "not run: it would never end", "$ three\n"),
        Fence("text", "file: a.csv", "username\n"),
    ]


def test_commands_are_run_without_their_output_and_files_are_written():
    steps = script(PAGE).splitlines()
    assert "one --option" in steps
    assert "what it prints" not in steps
    assert "three" not in steps
    assert "' > a.csv" in steps


def test_a_page_without_commands_has_nothing_to_run():
    assert script("```text\n$ not a command\n```\n") == ""


def test_a_command_that_fails_fails_its_page(tmp_path):
    assert run(["bash", "-c", script(FAILING)], tmp_path, {}).returncode != 0
    assert not (tmp_path / "reached").exists()


@pytest.mark.parametrize("remark", ["stays running:", "stays running: 1"])
def test_a_command_that_stays_runs_beside_the_others(remark, tmp_path):
    page = f"<!-- {remark} -->\n```console\n$ sh -c 'echo http; exec sleep 60'\n```\n\n```console\n$ echo next\n```\n"
    done = run(["bash", "-c", script(page)], tmp_path, {})
    assert (done.returncode, done.stdout.rpartition("$ ")[2]) == (0, "echo next\nnext\n")


def test_what_a_command_prints_is_compared_where_the_page_says_so(tmp_path):
    printed = run(["bash", "-c", script(COMPARED)], tmp_path, {}).stdout
    assert (
        printed.replace(MARK, "") == """$ echo '{"a": 1, "b": 2}'\n{"a": 1, "b": 2}\n$ true\n$ echo unseen\nunseen\n"""
    )
    assert differences(COMPARED, printed) == ""
    assert differences(COMPARED, printed.replace('"b": 2}\n', '"b": 3}\n').replace("\nunseen", "\nseen")) == ""
    assert differences(COMPARED, printed.replace('{"a": 1, "b": 2}\n', "none\n")) == (
        """$ echo '{"a": 1, "b": 2}'\nis shown to print\n{"a": 1, ...}\nbut\n"""
        """$ echo '{"a": 1, "b": 2}'\nnone\n"""
    )


def test_output_that_a_page_does_not_show_is_a_difference_too():
    assert not is_shown("something\n", "")
    assert is_shown("a\nb\nc\n", "a\n...\nc")
    assert not is_shown("a\nb\n", "a\n...\nc")


def test_programs_are_read_with_what_they_print():
    assert programs(PROGRAMS) == [("print(1)\n", "1\n"), ("pass\n", "")]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_every_command_of_the_documentation_runs(page, tmp_path, vendor):
    if vendor != "sqlite":
        pytest.skip("the commands are run once, in the run on SQLite")
    lay_out_desk(tmp_path)
    text = page.read_text()
    done = run(["bash", "-c", script(text)], tmp_path, surroundings(tmp_path))
    assert done.returncode == 0, done.stdout[-5000:]
    assert not differences(text, done.stdout)
