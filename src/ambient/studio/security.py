"""Who may ask this server for what? Checked before anything else, for every request.

A page of another site may send requests to loopback addresses, and may point its own name at them (DNS rebinding). So
the Host must be an address of this server, what changes something must come from a page of its own (Origin, or
Sec-Fetch-Site), and where others can reach the address each request must know a token, by header or by cookie.
"""

import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

COOKIE, HEADER = "studio_token", "x-studio-token"
_SAFE = ("GET", "HEAD")
_OPEN = (
    "/login",
    "/static/login.js",
    "/static/studio.css",
    "/static/icon.svg",
)  # what a page needs to ask for the token
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Tell whether only programs of this machine reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """An ASGI application around another one, which gets only the requests that may be answered.

    Args:
        app: The application.
        host: The address that is listened on.
        token: What clients must know; empty for none.
    """

    def __init__(self, app: Any, *, host: str, token: str = "") -> None:
        self._app, self._host, self._token = app, host, token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal:
            await _refuse(send, *refusal, wants_page=scope["path"] == "/")
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return 403, f"Host {host!r} is not an address of this server; open the address that it printed"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not self._is_visit(method, path, headers):
            return 403, "a page of another site asked; only this server's own page may"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"Origin {origin!r} is another site; only this server's own page may"
        if self._token and path not in _OPEN and not self._knows_token(headers):
            return 401, "the token is missing or wrong; it was printed when the studio was started"
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) if is_loopback(self._host) else bool(name)  # elsewhere the token decides

    def _is_visit(self, method: str, path: str, headers: dict[str, str]) -> bool:
        """Tell whether a person follows a link to the page."""
        return method in _SAFE and path == "/" and headers.get("sec-fetch-mode") == "navigate"

    def _knows_token(self, headers: dict[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given = headers.get(HEADER) or (cookie.value if cookie else "")
        return self.is_token(given)

    def is_token(self, given: str) -> bool:
        """Tell, in a time that says nothing, whether a text is the token."""
        return hmac.compare_digest(given.encode(), self._token.encode())


async def _refuse(send: Any, status: int, reason: str, *, wants_page: bool) -> None:
    headers = {**_HEADERS, "content-type": "text/plain; charset=utf-8"}
    if status == 401 and wants_page:
        status, headers = 303, {**headers, "location": "/login"}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})
