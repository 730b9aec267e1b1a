"""Servers for tests that kill, starve and crowd them."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from server import Server  # noqa: E402


@pytest.fixture
def server(tmp_path):
    """A server that is not started yet."""
    made = Server(tmp_path)
    yield made
    if made.process:
        made.kill()
