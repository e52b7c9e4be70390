"""What others ask of the tasks of instructors."""

from lms.djangoapps.instructor_task.models import READY_STATES, InstructorTask


def get_running_instructor_tasks(course_id):
    return InstructorTask.objects.filter(course_id=course_id).exclude(task_state__in=READY_STATES).order_by("-id")


def get_instructor_task_history(course_id, usage_key=None, student=None, task_type=None):
    found = InstructorTask.objects.filter(course_id=course_id)
    return (found.filter(task_type=task_type) if task_type else found).order_by("-id")
