"""The application: routes, page, errors in a person's words, and who may ask at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from ambient.errors import InputError
from ambient.studio.routes import chain, music
from ambient.studio.routes.bodies import ErrorAnswer, TokenBody
from ambient.studio.security import COOKIE, Guard
from ambient.studio.services.sound import SoundError
from ambient.studio.services.studio import Studio
from ambient.studio.services.takes import TakeError
from ambient.studio.services.uploads import UploadError
from ambient.studio.store import StoreError

STATIC = Path(__file__).parent / "static"


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": "What is wrong, in one line, and what to do", "model": ErrorAnswer}
    for status in ("4XX", "5XX", 422)
}


def make_app(studio: Studio, *, host: str = "127.0.0.1", token: str = "") -> Guard:
    """Return the ASGI application; it starts the studio and stops it.

    Args:
        studio: What it serves.
        host: The address that is listened on.
        token: What clients must know; empty for none.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        studio.start()
        yield
        studio.stop()

    app = FastAPI(
        title="Ambient music generation: the studio",
        version=version("ambient-music-generation"),
        description='What the page uses. Bodies and answers are JSON, except files; an error is {"error": "…"}.',
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    for part in (chain, music):
        app.include_router(part.router(studio), responses=_ERRORS)
    _add_errors(app)
    guard = Guard(app, host=host, token=token)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/login", include_in_schema=False)
    def login_page() -> FileResponse:
        return FileResponse(STATIC / "login.html")

    @app.post("/login", include_in_schema=False)
    def login(body: TokenBody) -> JSONResponse:
        if not guard.is_token(body.token):
            return JSONResponse({"error": "this is not the token; it was printed when the studio was started"}, 401)
        answer = JSONResponse({"welcome": True})
        answer.set_cookie(COOKIE, body.token, httponly=True, samesite="strict", max_age=90 * 86_400)
        return answer

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return guard


def _add_errors(app: FastAPI) -> None:
    def as_json(status: int) -> Any:
        def answer(_: Request, error: Exception) -> JSONResponse:
            return JSONResponse({"error": str(error)}, getattr(error, "status", status))

        return answer

    for kind, status in ((StoreError, 409), (TakeError, 409), (UploadError, 400), (InputError, 422), (SoundError, 404)):
        app.add_exception_handler(kind, as_json(status))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)

    @app.exception_handler(OSError)
    def failed(_: Request, error: OSError) -> JSONResponse:
        return JSONResponse({"error": f"{error.strerror or error}; is there free space on this machine?"}, 500)
