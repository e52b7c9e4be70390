"""Put reports where "Data Downloads" shows them."""

from common.djangoapps.util.file import course_filename_prefix_generator
from eventtracking import tracker

from lms.djangoapps.instructor_task.models import ReportStore

REPORT_REQUESTED_EVENT_NAME = "edx.instructor.report.requested"


def upload_csv_to_report_store(rows, csv_name, course_id, timestamp, config_name="GRADES_DOWNLOAD", parent_dir=""):  # noqa: PLR0917
    """Return the name of the report. Two in a minute have one name: the storage gives the second another."""
    report_name = _report_name(course_id, csv_name, timestamp, "csv")
    ReportStore.from_config(config_name).store_rows(course_id, report_name, rows, parent_dir)
    _tell(csv_name)
    return report_name


def upload_csv_file_to_report_store(file, csv_name, course_id, timestamp, config_name="GRADES_DOWNLOAD", parent_dir=""):  # noqa: PLR0917
    return _upload(
        file, _report_name(course_id, csv_name, timestamp, "csv"), csv_name, course_id, config_name, parent_dir
    )


def upload_zip_to_report_store(file, zip_name, course_id, timestamp, config_name="GRADES_DOWNLOAD", parent_dir=""):  # noqa: PLR0917
    return _upload(
        file, _report_name(course_id, zip_name, timestamp, "zip"), zip_name, course_id, config_name, parent_dir
    )


def _upload(file, report_name, kind, course_id, config_name, parent_dir):  # noqa: PLR0917 (one for each part)
    ReportStore.from_config(config_name).store(course_id, report_name, file, parent_dir)
    _tell(kind)
    return report_name


def _report_name(course_id, name, timestamp, ending):
    return f"{course_filename_prefix_generator(course_id)}_{name}_{timestamp:%Y-%m-%d-%H%M}.{ending}"


def _tell(kind):
    tracker.emit(REPORT_REQUESTED_EVENT_NAME, {"report_type": kind})
