"""The two groups of the gate."""

from xmodule.partitions.partitions import Group

CONTENT_GATING_PARTITION_ID = 51
CONTENT_TYPE_GATE_GROUP_IDS = {"limited_access": 1, "full_access": 2}
LIMITED_ACCESS = Group(1, "Limited-access Users")
FULL_ACCESS = Group(2, "Full-access Users")
