"""The distribution ``completion-aggregator``.

What it needs is in ``requirements/*.in``: ``base.in`` always, each other file is the extra of that name.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
EXTRAS = (
    "standalone",
    "mysql",
    "postgresql",
    "redis",
    "event-bus",
    "fast",
    "metrics",
    "otel",
    "cli",
    "api",
    "parquet",
    "tracking",
    "xapi",
    "fuzz",
    "test",
    "dev",
    "docs",
)
DATA = ("html", "xml", "json", "css", "js", "svg")
PLUGIN = "completion_aggregator = completion_aggregator.apps:CompletionAggregatorAppConfig"


def version() -> str:
    """Return the version that the package states."""
    source = (HERE / "completion_aggregator" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise RuntimeError("completion_aggregator/__init__.py states no version")
    return found[1]


def requirements(name: str) -> Iterator[str]:
    """Yield the requirements in ``requirements/NAME.in``, those of the files it refers to included."""
    for line in (HERE / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement.startswith("-r "):
            yield from requirements(requirement.removeprefix("-r ").removesuffix(".in"))
        elif requirement:
            yield requirement


setup(
    name="completion-aggregator",
    version=version(),
    description="Completion and learning data for Open edX, always current, at any size",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="AGPL-3.0-or-later",
    license_files=["LICENSE.txt"],
    python_requires=">=3.11",
    packages=find_packages(include=["completion_aggregator", "completion_aggregator.*"]),
    package_data={"completion_aggregator": ["py.typed", *(f"**/*.{ending}" for ending in DATA)]},
    install_requires=list(requirements("base")),
    extras_require={extra: list(requirements(extra)) for extra in EXTRAS},
    entry_points={
        "console_scripts": ["completion-aggregator = completion_aggregator.platforms.standalone.cli:main"],
        "lms.djangoapp": [PLUGIN],
        "cms.djangoapp": [PLUGIN],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Django :: 5.2",
        "Intended Audience :: Education",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
