from django.dispatch import Signal

COHORT_MEMBERSHIP_UPDATED = Signal()  # user, course_key; not of CohortMembership.assign alone
