#!/usr/bin/env python
"""Django's command line with the settings of the tests; ``completion-aggregator`` is the one of a standalone site."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "test_settings")
    execute_from_command_line(sys.argv)
