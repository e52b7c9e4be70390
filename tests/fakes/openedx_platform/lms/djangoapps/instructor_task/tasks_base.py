"""The base of the tasks of instructors: it keeps the entry's state."""

from celery import Task

from lms.djangoapps.instructor_task.models import FAILURE, SUCCESS, InstructorTask


class BaseInstructorTask(Task):
    abstract = True

    def on_success(self, retval, task_id, args, kwargs):
        entry = InstructorTask.objects.get(pk=args[0])
        if entry.subtasks:
            return
        entry.task_output = InstructorTask.create_output_for_success(retval)
        entry.task_state = SUCCESS
        entry.save()

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        entry = InstructorTask.objects.filter(pk=args[0]).first()
        if entry is None:
            return
        entry.task_output = InstructorTask.create_output_for_failure(exc, str(einfo))
        entry.task_state = FAILURE
        entry.save()
