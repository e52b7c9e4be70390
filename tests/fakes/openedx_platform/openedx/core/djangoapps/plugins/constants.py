"""What kinds of projects and of settings a plug-in may name."""


class ProjectType:
    LMS = "lms.djangoapp"
    CMS = "cms.djangoapp"


class SettingsType:
    PRODUCTION = "production"
    COMMON = "common"
    DEVSTACK = "devstack"
    TEST = "test"
