from collections.abc import Iterator

import pytest

from tests.cni.netlab import Lab, fresh_node


@pytest.fixture
def node() -> Iterator[Lab]:
    """The test runs in a network namespace of its own."""
    with fresh_node() as lab:
        yield lab
