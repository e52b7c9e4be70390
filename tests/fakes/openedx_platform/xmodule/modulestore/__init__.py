"""The branches of a course."""


class ModuleStoreEnum:
    """Names that the modulestore goes by."""

    class Branch:
        """The two branches."""

        draft_preferred = "draft-preferred"
        published_only = "published-only"

    class BranchName:
        """The two branches, in keys."""

        draft = "draft-branch"
        published = "published-branch"
