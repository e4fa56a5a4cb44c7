"""Recorded real frames, kept beside the checkout and never inside it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def recording(name: str) -> Path:
    """Path of a recording, or a skip that says which file is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"recording {name} is not beside this checkout (looked in ../shared/data)")
    return path
