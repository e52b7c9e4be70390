"""Sphinx settings: Markdown pages, a warning is an error (see ``make docs``)."""

import re
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent / "completion_aggregator" / "__init__.py"

project = "completion-aggregator"
copyright = "the authors of completion-aggregator; AGPL-3.0-or-later"
release = re.findall(r'^__version__ = "([^"]+)"$', _PACKAGE.read_text(encoding="utf-8"), re.MULTILINE)[0]
version = release

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"completion-aggregator {release}"
# No address of the machine that built the pages, and no requests to others from the reader's browser.
html_copy_source = False
html_show_sphinx = False
