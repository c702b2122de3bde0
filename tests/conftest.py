"""What starts servers is slow, and `make quick` leaves it out."""

import pytest

SLOW_FOLDERS = frozenset({"integration", "acceptance"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FOLDERS & set(item.path.parts):
            item.add_marker(pytest.mark.slow)
