"""What the modulestore raises."""


class ItemNotFoundError(Exception):
    """There is no such block."""
