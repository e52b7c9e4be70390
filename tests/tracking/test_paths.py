import pytest

from completion_aggregator.tracking.paths import without_persons


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", ""),
        ("/", "/"),
        ("/u//bob/", "/u//*/"),
        ("/support/enrollment/bob", "/support/enrollment/*"),
        ("/api/enrollment/v1/enrollment/course-v1:O+C+R", "/api/enrollment/v1/enrollment/course-v1:O+C+R"),
        ("/student_progress_report/bob", "/student_progress_report/*"),
        ("/verify_student/start-flow/course-v1:O+C+R", "/verify_student/*/course-v1:O+C+R"),
        ("/courses/O%2FC%2FR/users/bob", "/courses/O%2FC%2FR/users/*"),
        ("/progress/12a", "/progress/12a"),
        ("/a,b/c", "/a,b/c"),
    ],
)
def test_segments_of_persons_are_stars(path, told):
    assert without_persons(path) == told
