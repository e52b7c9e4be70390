"""Tasks of instructors, and where their reports are kept."""

import hashlib
import json
import uuid
from pathlib import PurePath

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import models
from django.utils.module_loading import import_string
from opaque_keys.edx.django.models import CourseKeyField

PROGRESS = "PROGRESS"
QUEUING = "QUEUING"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
OUTPUT_LIMIT = 1023
INPUT_LIMIT = 10_000


class InstructorTask(models.Model):
    task_type = models.CharField(max_length=50, db_index=True)
    course_id = CourseKeyField(max_length=255, db_index=True)
    task_key = models.CharField(max_length=255, db_index=True)
    task_input = models.TextField()
    task_id = models.CharField(max_length=255, db_index=True)
    task_state = models.CharField(max_length=50, null=True, db_index=True)
    task_output = models.CharField(max_length=1024, null=True)
    requester = models.ForeignKey(User, db_index=True, on_delete=models.CASCADE)
    created = models.DateTimeField(auto_now_add=True, null=True)
    updated = models.DateTimeField(auto_now=True)
    subtasks = models.TextField(blank=True)

    def __str__(self):
        return f"{self.task_type} {self.task_id}: {self.task_state}"

    @classmethod
    def create(cls, course_id, task_type, task_key, task_input, requester):
        json_input = json.dumps(task_input)
        if len(json_input) > INPUT_LIMIT:
            raise AttributeError("Task input is too long")
        return cls.objects.create(
            course_id=course_id,
            task_type=task_type,
            task_id=str(uuid.uuid4()),
            task_key=task_key,
            task_input=json_input,
            task_state=QUEUING,
            requester=requester,
        )

    @staticmethod
    def create_output_for_success(returned_result):
        told = json.dumps(returned_result)
        if len(told) > OUTPUT_LIMIT:
            raise ValueError(f"Length of task output is too long: {told}")
        return told

    @staticmethod
    def create_output_for_failure(exception, traceback_string):
        told = json.dumps({"exception": type(exception).__name__, "message": str(exception)})
        return told if len(told) <= OUTPUT_LIMIT else json.dumps({"exception": type(exception).__name__})


class ReportStore:
    """The files of reports: a folder per course, named by the hash of its key."""

    def __init__(self, storage):
        self.storage = storage

    @classmethod
    def from_config(cls, config_name):
        config = getattr(settings, config_name)
        kind = config.get("STORAGE_TYPE", "").lower()
        if kind == "localfs":
            path = "django.core.files.storage.FileSystemStorage"
            return cls(import_string(path)(location=config["ROOT_PATH"], base_url="/"))
        if kind == "s3":
            raise NotImplementedError("no S3 beside the tests")
        if config.get("STORAGE_CLASS"):
            return cls(import_string(config["STORAGE_CLASS"])(**config.get("STORAGE_KWARGS", {})))
        return cls(storages["default"])

    def store(self, course_id, filename, buff, parent_dir=""):
        """Store a binary or a text buffer, from where it stands; a name that is taken gets another."""
        told = buff.read()
        content = told.encode("utf-8") if isinstance(told, str) else told
        self.storage.save(self.path_to(course_id, filename, parent_dir), ContentFile(content))

    def store_rows(self, course_id, filename, rows, parent_dir=""):
        import csv
        from io import StringIO

        buff = StringIO()
        csv.writer(buff).writerows([str(cell) for cell in row] for row in rows)
        buff.seek(0)
        self.store(course_id, filename, buff, parent_dir)

    def links_for(self, course_id):
        folder = self.path_to(course_id)
        try:
            _, names = self.storage.listdir(folder)
        except OSError:
            return []
        names.sort(key=lambda name: self.storage.get_modified_time(f"{folder}/{name}"), reverse=True)
        return [(name, self.storage.url(f"{folder}/{name}")) for name in names]

    def path_to(self, course_id, filename="", parent_dir=""):
        folder = parent_dir or hashlib.sha1(str(course_id).encode("utf-8")).hexdigest()
        return str(PurePath(folder) / filename)
