"""A studio over an empty state, and one whose chain has heard songs."""

import pytest

from ambient.studio.services.studio import Studio


@pytest.fixture
def studio(tmp_path):
    made = Studio(tmp_path / "state")
    yield made
    made.work.close()
    made.store.stop()
