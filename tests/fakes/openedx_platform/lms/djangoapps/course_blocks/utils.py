"""The state of a learner in a block."""

import json

from lms.djangoapps.courseware.models import StudentModule


def get_student_module_as_dict(user, course_key, block_key):
    """Return the state, in one query; an empty one where there is none."""
    row = StudentModule.objects.filter(student=user, course_id=course_key, module_state_key=block_key).first()
    return json.loads(row.state) if row and row.state else {}


def save_student_module(user, course_key, block_key, state):
    """Write the state."""
    StudentModule.objects.update_or_create(
        student=user, course_id=course_key, module_state_key=block_key,
        defaults={"state": json.dumps(state)},
        create_defaults={"state": json.dumps(state), "module_type": block_key.block_type},
    )  # fmt: skip
