import asyncio

import pytest

from ambient.studio.security import Guard, is_loopback


def ask(headers, *, method="GET", path="/api/flow", host="127.0.0.1", token=""):
    """Return the status that a request gets, 200 where the application is reached."""
    answered = []

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        answered.append(message)

    scope = {
        "type": "http", "method": method, "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(Guard(application, host=host, token=token)(scope, None, send))
    return answered[0]


OWN = {"host": "127.0.0.1:8484"}


@pytest.mark.parametrize("host", ["127.0.0.1:8484", "localhost:8484", "[::1]:8484", "127.0.0.1"])
def test_loopback_names_are_answered(host):
    assert ask({"host": host})["status"] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8484", "localhost.evil.example", "", "[::1", "10.0.0.7"]
)
def test_other_host_is_refused_so_that_dns_rebinding_gets_nothing(host):
    assert ask({"host": host})["status"] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_page_of_another_site_starts_nothing(headers, method):
    assert ask(OWN | headers, method=method)["status"] == 403


def test_own_page_is_answered():
    own = OWN | {"origin": "http://127.0.0.1:8484", "sec-fetch-site": "same-origin"}
    assert ask(own, method="POST")["status"] == 200


def test_link_from_another_site_may_lead_to_the_page_alone():
    visit = OWN | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert ask(visit, path="/")["status"] == 200
    assert ask(visit, path="/api/flow")["status"] == 403
    assert ask(visit, path="/", method="POST")["status"] == 403


def test_every_answer_forbids_scripts_that_are_not_files_of_the_page():
    for headers in (OWN, {"host": "evil.example"}):
        policy = dict(ask(headers)["headers"])[b"content-security-policy"].decode()
        assert "script-src 'self';" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-studio-token": "wrong"}, 401),
        ({"x-studio-token": "right"}, 200),
        ({"cookie": "studio_token=right"}, 200),
        ({"cookie": "other=1; studio_token=right"}, 200),
        ({"cookie": "studio_token=wrong"}, 401),
        ({"x-studio-token": "rïght"}, 401),
    ],
)
def test_where_others_reach_the_address_the_token_decides(headers, status):
    assert ask({"host": "box.lan:8484"} | headers, host="0.0.0.0", token="right")["status"] == status


def test_visitor_without_token_is_led_to_the_page_that_asks_for_it():
    answer = ask({"host": "box.lan"}, path="/", host="0.0.0.0", token="right")
    assert (answer["status"], dict(answer["headers"])[b"location"]) == (303, b"/login")
    assert ask({"host": "box.lan"}, path="/login", host="0.0.0.0", token="right")["status"] == 200


def test_loopback_addresses():
    assert [is_loopback(each) for each in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "box.lan")] == [
        True, True, True, False, False,
    ]  # fmt: skip
