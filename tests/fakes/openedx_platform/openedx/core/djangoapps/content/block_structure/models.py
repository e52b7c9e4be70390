"""Where collected structures are kept: one row for each course, and a file that it names."""

from django.db import models
from model_utils.models import TimeStampedModel
from opaque_keys.edx.django.models import UsageKeyField

from openedx.core.djangoapps.content.block_structure.files import structure_storage

VERSION_FIELDS = (
    "data_version",
    "data_edit_timestamp",
    "transformers_schema_version",
    "block_structure_schema_version",
)


class BlockStructureModel(TimeStampedModel):
    """The collected structure of one course."""

    data_usage_key = UsageKeyField(blank=False, max_length=255, unique=True)
    data_version = models.CharField(max_length=255, blank=True, null=True, db_index=True)
    data_edit_timestamp = models.DateTimeField(blank=True, null=True, db_index=True)
    transformers_schema_version = models.CharField(max_length=255)
    block_structure_schema_version = models.CharField(max_length=255)
    data = models.FileField(max_length=500, storage=structure_storage)

    class Meta:
        db_table = "block_structure"

    def __str__(self):
        return ", ".join(f"{name}: {getattr(self, name)}" for name in ("data_usage_key", *VERSION_FIELDS))
