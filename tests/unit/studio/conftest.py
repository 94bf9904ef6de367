"""A studio over an empty state, and one whose chain has heard songs."""

import threading

import pytest

from ambient.studio.services.studio import Studio


@pytest.fixture
def studio(tmp_path):
    made = Studio(tmp_path / "state")
    yield made
    made.work.close()
    made.store.stop()


@pytest.fixture
def wait_for():
    """Waits for at most a minute until something is so."""

    def wait(is_so):
        for _ in range(600):
            if is_so():
                return
            threading.Event().wait(0.1)
        raise AssertionError("it did not come about")

    return wait
