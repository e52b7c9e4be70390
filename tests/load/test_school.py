"""What a load test is made of: the same by the same seed, and different enough to find something."""

from completion_aggregator.platforms.standalone.courses import compile_content
from tests.load import school
from tests.load.latency import delays_of, quantile


def test_a_seed_makes_the_same_courses_each_time() -> None:
    hashes = [compile_content(school.content(7, 0, version)).content_hash for version in range(school.VERSIONS)]
    assert hashes == [compile_content(school.content(7, 0, version)).content_hash for version in range(school.VERSIONS)]
    assert len(set(hashes)) == school.VERSIONS
    assert compile_content(school.content(8, 0, 0)).content_hash not in hashes


def test_courses_have_what_makes_learners_see_different_trees() -> None:
    blocks = [block for version in range(school.VERSIONS) for block in school.content(7, 0, version).blocks]
    assert any(block.group_access for block in blocks)
    assert any(block.staff_only for block in blocks)
    assert any(block.optional for block in blocks)


def test_a_completion_counts_when_so_many_do() -> None:
    counted = {("c", 1): [(1.0, 10.0), (3.0, 12.0)], ("c", 2): [(0.0, 9.0)]}
    written = [("c", 1, 9.5), ("c", 1, 9.75), ("c", 1, 11.0), ("c", 2, 9.0)]
    delays, uncounted = delays_of(written, counted)
    assert (delays, uncounted) == ([0.5, 2.25, 1.0], 1)
    assert [quantile(delays, share) for share in (0.5, 0.99)] == [1.0, 2.25]
