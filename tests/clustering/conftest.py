from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """What is computed here is small: threads that wait for each other took most of the time."""
    with threadpool_limits(1):
        yield
