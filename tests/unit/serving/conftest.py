"""Fixtures of the request path's unit tests."""

import pytest

from tests.unit.serving.fakes import RequestPath, request_path


@pytest.fixture
def path() -> RequestPath:
    return request_path()
