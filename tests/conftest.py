"""Shared fixtures and the one place that decides which tests this machine can run."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

NEEDS = {"kernel": ("ip", "iptables-restore", "nft"), "uml": ("linux.uml",), "browser": ("chromium",)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, tools in NEEDS.items():
            if item.get_closest_marker(marker):
                reason = unable(marker, tools)
                if reason:
                    item.add_marker(pytest.mark.skip(reason=reason))


def unable(marker: str, tools: tuple[str, ...]) -> str:
    """Return why this machine cannot run tests of a marker, "" if it can."""
    if marker == "kernel" and os.geteuid() != 0:
        return "kernel test: needs root"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"{marker} test: {', '.join(missing)} is not installed" if missing else ""
