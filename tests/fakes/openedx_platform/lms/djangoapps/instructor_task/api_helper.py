"""Submit a task of an instructor."""

from lms.djangoapps.instructor_task.models import FAILURE, READY_STATES, InstructorTask


class AlreadyRunningError(Exception):
    """The same task is running for this course."""


class QueueConnectionError(Exception):
    """The broker was not reached."""


def submit_task(request, task_type, task_class, course_key, task_input, task_key):  # noqa: PLR0917
    """Make the entry, and have a worker run it under the id that the entry names."""
    running = InstructorTask.objects.filter(course_id=course_key, task_type=task_type, task_key=task_key)
    if running.exclude(task_state__in=READY_STATES).exists():
        raise AlreadyRunningError
    entry = InstructorTask.create(course_key, task_type, task_key, task_input, request.user)
    try:
        task_class.apply_async((entry.id, _xblock_instance_args(request, entry.task_id)), task_id=entry.task_id)
    except OSError as error:
        InstructorTask.objects.filter(pk=entry.pk).update(task_state=FAILURE)
        raise QueueConnectionError from error
    entry.refresh_from_db()
    return entry


def _xblock_instance_args(request, task_id):
    return {
        "xqueue_callback_url_prefix": "",
        "request_info": {
            "username": request.user.username,
            "user_id": request.user.id,
            "ip": request.META["REMOTE_ADDR"],
            "agent": request.META.get("HTTP_USER_AGENT", ""),
            "host": request.META["SERVER_NAME"],
        },
        "task_id": task_id,
    }
