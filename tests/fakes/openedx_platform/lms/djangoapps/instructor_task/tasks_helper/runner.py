"""What runs a task of an instructor, and tells of its progress."""

import json
from time import time

from celery import current_task

from lms.djangoapps.instructor_task.models import PROGRESS, InstructorTask


class TaskProgress:
    """How far a task is; the counters are set by the task."""

    def __init__(self, action_name, total, start_time):
        self.action_name = action_name
        self.total = total
        self.start_time = start_time
        self.attempted = self.succeeded = self.skipped = self.failed = self.preassigned = 0

    @property
    def state(self):
        return {
            "action_name": self.action_name,
            "attempted": self.attempted,
            "succeeded": self.succeeded,
            "skipped": self.skipped,
            "failed": self.failed,
            "total": self.total,
            "preassigned": self.preassigned,
            "duration_ms": int((time() - self.start_time) * 1000),
        }

    def update_task_state(self, extra_meta=None):
        told = self.state | (extra_meta or {})
        if current_task and not current_task.request.is_eager:
            current_task.update_state(state=PROGRESS, meta=told)
        return told


def run_main_task(entry_id, task_fcn, action_name):
    """Run the function for the entry; the id of the running task must be that of the entry."""
    entry = InstructorTask.objects.get(pk=entry_id)
    entry.task_state = PROGRESS
    entry.save()
    if current_task.request.id != entry.task_id:
        raise ValueError(f"Requested task did not match actual task {entry.task_id}: {current_task.request.id}")
    progress = task_fcn(entry_id, entry.course_id, json.loads(entry.task_input), action_name)
    entry = InstructorTask.objects.get(pk=entry_id)
    entry.task_output = InstructorTask.create_output_for_success(progress)
    entry.save()
    return progress
