"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Python takes the bytecode of a file that has changed within a second and is as long as before; tests change files so. And
# what a command leaves behind is its own then.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True

# How fast a machine is, and what else it does, decides no test.
settings.register_profile("at-ease", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("at-ease")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports go from one process to another, which takes text that UTF-8 can hold only; some tests print other text."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
