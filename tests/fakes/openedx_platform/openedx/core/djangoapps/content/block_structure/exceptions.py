"""What block structures raise."""


class BlockStructureException(Exception):
    """Base of them all."""


class TransformerException(BlockStructureException):
    """A transformer cannot be used."""


class UsageKeyNotInBlockStructure(BlockStructureException):
    """The structure has no such block."""


class TransformerDataIncompatible(BlockStructureException):
    """What was collected is older than what a transformer reads."""


class BlockStructureNotFound(BlockStructureException):
    """Nothing was collected."""
