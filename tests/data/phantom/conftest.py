"""Phantoms that several tests look at, made once."""

import pytest

from osteon.data.phantom import Phantom, phantom


@pytest.fixture(scope="session")
def pelvis() -> Phantom:
    return phantom(3)


@pytest.fixture(scope="session")
def body() -> Phantom:
    """Head and trunk, coarse."""
    return phantom(3, 56, (248, 81, 126), (4.0, 4.0, 4.0))
