"""``tracking pull``: copies of logs that lie elsewhere."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from completion_aggregator.meter import meter
from completion_aggregator.tracking.cells import visible
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store
from completion_aggregator.tracking.pulling import Planned, Pulled, State, plan, pull
from completion_aggregator.tracking.sources import as_text

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
SOURCE is a folder, a file, a glob, s3://bucket/prefix, sftp://user@host/path, or what else fsspec knows. Whoever may
read it is settled where its library looks: AWS_ACCESS_KEY_ID and ~/.aws, ~/.ssh/config, known_hosts and the key agent.

Files are known again by size and etag (or time), and keep their path below SOURCE. What broke off is resumed; a file
that became another one is fetched anew, and its old copy kept as NAME.TIME. Nothing is ever deleted, there or here.
A copy that you delete is fetched again.

examples:
  tracking pull s3://logs/tracking --dry-run
  tracking pull s3://logs/tracking --endpoint https://objects.example.org --limit 100
  tracking pull sftp://backup@archive.example.org/var/log/tracking --to /data/logs
  tracking pull /mnt/nightly --pattern 'tracking.log-2024*'
"""


def register(commands: "Subparsers") -> None:
    """Add ``pull``."""
    parser = add_parser(commands, "pull", "copy new and changed logs from elsewhere", _EPILOG)
    parser.add_argument("source", metavar="SOURCE", help="where the logs are")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the copies go (default: the private folder)")
    parser.add_argument("--limit", type=_count, metavar="N", help="fetch at most N files, oldest first")
    parser.add_argument("--dry-run", action="store_true", help="only say what is new, changed, known")
    parser.add_argument("--pattern", metavar="GLOB", help="which files are logs: of their names, or with a / of paths")
    parser.add_argument("--endpoint", metavar="URL", help="address of a store that speaks S3 but is not Amazon's")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Fetch, and say what came of it."""
    if options.endpoint and not options.source.startswith(("s3://", "s3a://")):
        print("Error: --endpoint is for s3:// only.", file=err)
        return 2
    folder = options.to or opened_store(options).private_folder / "logs"
    system = {"endpoint_url": options.endpoint} if options.endpoint else {}
    planned = plan(options.source, folder, pattern=options.pattern, options=system)
    if options.dry_run:
        return _dry_run(planned, options, out)
    wanted = [each for each in planned if each.state in {State.NEW, State.CHANGED}][: options.limit]
    total = sum(max(each.source.size, 0) for each in wanted)
    with meter("Fetching", total or None, err) as bar:
        result = pull(planned, folder, meter=bar, limit=options.limit)
    _report(planned, result, folder, options, out)
    return 1 if result.failed else 0


def _dry_run(planned: list[Planned], options: argparse.Namespace, out: TextIO) -> int:
    wanted = [each for each in planned if each.state is not State.KNOWN]
    bytes_ = sum(max(each.source.size, 0) for each in wanted if each.state is not State.REFUSED)
    counts = _counts(planned)
    if options.json:
        files = [
            {
                "url": each.source.url,
                "name": as_text(each.source.name),
                "size": each.source.size,
                "state": each.state.value,
            }
            | ({"reason": each.why} if each.why else {})
            for each in planned
        ]
        print(json.dumps(counts | {"bytes": bytes_, "files": files}), file=out)
    else:
        for each in wanted:
            line = f"{each.state.value:<8} {each.source.size:>14,}  {each.source.url}  {each.why}"
            print(visible(line).rstrip(), file=out)
        print(f"{_told(counts)}; {bytes_:,} bytes to fetch.", file=out)
    return 1 if counts[State.REFUSED.value] else 0


def _report(planned: list[Planned], result: Pulled, folder: Path, options: argparse.Namespace, out: TextIO) -> None:
    counts = _counts(planned)
    if options.json:
        told: dict[str, Any] = counts | {
            "fetched": len(result.fetched),
            "left": result.left,
            "bytes": result.bytes,
            "resumed_bytes": result.resumed_bytes,
            "kept": result.kept,
            "failed": [{"url": url, "reason": reason} for url, reason in result.failed],
            "folder": str(folder),
        }
        print(json.dumps(told), file=out)
        return
    print(
        f"{_told(counts)}: {len(result.fetched)} fetched into {visible(str(folder))}, {result.bytes:,} bytes.", file=out
    )
    if result.left:
        print(f"{result.left} more are left for the next run.", file=out)
    for path in result.kept:
        print(visible(f"  became another file; its old copy is {path}"), file=out)
    for url, reason in result.failed:
        print(visible(f"  not fetched: {url}: {reason}"), file=out)


def _counts(planned: list[Planned]) -> dict[str, int]:
    counts = Counter(each.state for each in planned)
    return {state.value: counts[state] for state in State}


def _told(counts: dict[str, int]) -> str:
    refused = f", {counts['refused']} refused" if counts["refused"] else ""
    return f"{counts['new']} new, {counts['changed']} changed, {counts['known']} known files{refused}"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
