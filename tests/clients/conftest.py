"""Serves the practice venues in a process of their own, for clients that know nothing of us."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

COMMAND = os.environ.get("HFTMM_COMMAND", "")
STARTED_WITHIN_S = 60
ENDED_WITHIN_S = 10

# Without a command there is nothing to connect to: the project's own tests do not look in here.
collect_ignore_glob = [] if COMMAND else ["test_*.py"]


@pytest.fixture(scope="session")
def venues() -> Iterator[dict[str, Any]]:
    """The description of running practice venues: their base URLs and the credentials."""
    arguments = [*shlex.split(COMMAND), "venues"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)  # noqa: S603  our own command
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            if not ready.select(STARTED_WITHIN_S):
                pytest.fail(f"`{COMMAND} venues` said nothing within {STARTED_WITHIN_S} s")
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"`{COMMAND} venues` ended with exit code {process.wait()}")
        yield json.loads(line)
    finally:
        process.stdout.close()
        process.terminate()
        try:
            process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
