"""The steps of a retirement; each is sent with ``user=``, from within the pipeline's request."""

from django.dispatch import Signal

USER_RETIRE_MAILINGS = Signal()
USER_RETIRE_THIRD_PARTY_MAILINGS = Signal()
USER_RETIRE_LMS_CRITICAL = Signal()
USER_RETIRE_LMS_MISC = Signal()
