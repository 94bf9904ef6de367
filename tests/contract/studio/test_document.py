"""Does the API do what its document says, whatever it is asked? Schemathesis makes requests from the document.

Each answer must have a status, a type and a body that the document names, and no request may end in a server error.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from ambient.studio.app import make_app
from ambient.studio.services.studio import Studio

HOST = {"host": "127.0.0.1:8484"}
EXAMPLES = 8  # an operation


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    made = Studio(tmp_path_factory.mktemp("studio") / "state")
    yield made
    made.work.close()


@pytest.fixture(scope="module")
def document(studio):
    """The document of a studio that writes down what it is asked and starts no program."""
    studio.start = studio.stop = lambda: None  # schemathesis opens and closes the application with each request
    studio.work.add = lambda task, *, first=False: None
    studio.put_samples = lambda: "0" * 32  # the chain over six songs is tested elsewhere
    return schemathesis.openapi.from_asgi("/api/openapi.json", make_app(studio), headers=HOST)


OPERATIONS = [
    (path, method)
    for path, methods in make_app(None)._app.openapi()["paths"].items()
    for method in methods
    if path != "/api/events"  # it never ends
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_the_document_names(document, path, method):
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(document[path][method.upper()].as_strategy())
    def ask(case):
        unknown = [positive_data_acceptance] if path == "/api/primers" else []  # what a MIDI file is, no document says
        case.call_and_validate(headers=HOST, excluded_checks=unknown)

    ask()
