"""Routes of composing, of pieces and of models."""

import secrets
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from ambient.studio.routes.bodies import AgainBody, ComposeBody, MoreBody, RenderBody, VerdictBody
from ambient.studio.services.primers import MOST_MIDI_BYTES
from ambient.studio.services.sound import presets
from ambient.studio.services.studio import Studio
from ambient.studio.services.takes import CONTROLS, TakeError, Wish
from ambient.studio.services.uploads import UploadError

TakeId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
_MOST_SEED = 1_000_000


def router(studio: Studio) -> APIRouter:
    """Return the routes over a studio."""
    routes = APIRouter(prefix="/api")

    @routes.get("/primers", tags=["compose"])
    def primers() -> list[dict[str, Any]]:
        """The samples that music may go on from."""
        return studio.primers.listed()

    @routes.post("/primers", tags=["compose"])
    async def receive(request: Request, name: Annotated[str, Query(max_length=255)] = "MIDI file") -> dict[str, Any]:
        """Send a MIDI file as the body."""
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_MIDI_BYTES:
                raise UploadError(f"{name}: more than {MOST_MIDI_BYTES >> 20} MiB; choose a smaller MIDI file", 413)
        return await run_in_threadpool(studio.primers.receive, name, bytes(content))

    @routes.get("/takes", tags=["compose"])
    def takes() -> list[dict[str, Any]]:
        """All takes, the newest first."""
        return studio.takes.listed()

    @routes.post("/takes", tags=["compose"])
    def compose(body: ComposeBody) -> dict[str, list[str]]:
        """Compose; the answer names the takes, whose notes come as events."""
        asked = body.primer
        primer = studio.primers.find(asked.kind, asked.id, asked.begin_s, asked.end_s)
        model = body.model or studio.models.composing()
        studio.models.place(model)
        values = body.model_dump(by_alias=True)
        wish = Wish(
            primer=primer.notes,
            context_s=primer.seconds,
            primer_label=primer.label,
            primer_texts=primer.texts,
            model=model,
            minutes=body.minutes,
            count=body.count,
            seed=secrets.randbelow(_MOST_SEED) if body.seed is None else body.seed,
            controls={name: _rising(values[name]) for name in CONTROLS if values[name]},
            adventure=body.adventure,
        )
        return {"takes": studio.takes.compose(wish)}

    @routes.get("/takes/{take}", tags=["compose"])
    def shown(take: TakeId) -> dict[str, Any]:
        """One take with its notes and its primer."""
        return studio.takes.shown(take)

    @routes.post("/takes/{take}/verdict", tags=["compose"])
    def judge(take: TakeId, body: VerdictBody) -> dict[str, str]:
        """Keep a take, discard it, or take that back."""
        studio.takes.judge(take, body.verdict)
        return {"verdict": body.verdict}

    @routes.post("/takes/{take}/cancel", tags=["compose"])
    def cancel(take: TakeId) -> dict[str, bool]:
        """Stop composing a take and those that are composed with it."""
        studio.takes.cancel(take)
        return {"cancelled": True}

    @routes.post("/takes/{take}/more", tags=["compose"])
    def more(take: TakeId, body: MoreBody) -> dict[str, list[str]]:
        """Compose more with the same primer and wishes."""
        return {"takes": studio.takes.more_like(take, body.count)}

    @routes.post("/takes/{take}/again", tags=["compose"])
    def again_from(take: TakeId, body: AgainBody) -> dict[str, list[str]]:
        """Keep a take up to a moment and compose what follows anew; from its end on, continue it."""
        return {"takes": studio.takes.again_from(take, body.at_s, count=body.count, minutes=body.minutes)}

    @routes.post("/takes/{take}/undo", tags=["compose"])
    def take_back(take: TakeId) -> dict[str, int]:
        """Take back a request: stop it and remove its takes, but for those that were kept or discarded meanwhile."""
        return {"removed": studio.takes.take_back(take)}

    @routes.delete("/takes/{take}", tags=["compose"])
    def forget(take: TakeId) -> dict[str, bool]:
        """Remove a take that was stopped or failed."""
        studio.takes.forget(take)
        return {"forgotten": True}

    @routes.get("/pieces", tags=["pieces"])
    def pieces() -> list[dict[str, Any]]:
        """The pieces that were kept, and those of the chain."""
        return studio.pieces.listed()

    @routes.get("/pieces/{piece}", tags=["pieces"])
    def piece(piece: TakeId) -> dict[str, Any]:
        """A piece with its notes, its primer, and what it was made from."""
        return studio.pieces.shown(piece)

    @routes.post("/pieces/{piece}/again", tags=["pieces"])
    def again_from_piece(piece: TakeId, body: AgainBody) -> dict[str, list[str]]:
        """Keep a piece up to a moment and compose what follows anew; of the chain's pieces, too."""
        return {"takes": studio.pieces.again_from(piece, body.at_s, count=body.count, minutes=body.minutes)}

    @routes.get("/pieces/{piece}/midi", tags=["pieces"], response_class=FileResponse)
    def midi(piece: TakeId) -> FileResponse:
        """The MIDI file of a piece."""
        return _download(studio.pieces.midi(piece), studio.pieces.title(piece), "mid", "audio/midi")

    @routes.post("/pieces/{piece}/match", tags=["pieces"])
    def match(piece: TakeId) -> dict[str, Any]:
        """The passage of the training music that is nearest; ask again after the event `answers`."""
        return studio.pieces.match(piece)

    @routes.post("/pieces/{piece}/remake", tags=["pieces"])
    def remake(piece: TakeId, ask: bool = False) -> dict[str, Any]:
        """Compose exactly this piece again and compare; with `ask` only say how that stands."""
        return studio.pieces.remade(piece) if ask else studio.pieces.again(piece)

    @routes.get("/presets", tags=["sound"])
    def list_presets() -> list[dict[str, str]]:
        """The instruments."""
        return presets()

    @routes.post("/renderings", tags=["sound"])
    def render(body: RenderBody) -> dict[str, Any]:
        """Render a piece, or say where that stands; ask again after the event `sound`.

        A take that is still composed is rendered as far as it has come, as MP3; `until_s` says how far. A rendering
        begins with the first note, at `begins_s`. `score` is MusicXML and fails where the music has no steady beat;
        `loudness` is what the rendering as MP3 measures.
        """
        content, covers = studio.pieces.sounding(body.piece)
        if covers["until_s"] is not None:
            if body.kind != "mp3":
                raise TakeError("this take is still being composed; wait for its end")
            return studio.sound.render_beginning(content, body.preset) | covers
        return studio.sound.render(content, studio.pieces.title(body.piece), body.preset, body.kind) | covers

    @routes.get("/renderings/{name}", tags=["sound"], response_class=FileResponse)
    def rendering(
        name: Annotated[str, Path(pattern=r"^[0-9a-f]{32}\.(mp3|wav|flac|zip|png|musicxml|json)$")],
        title: Annotated[str, Query(max_length=100)] = "",
    ) -> FileResponse:
        """A file that was rendered; with a title as a download."""
        path = studio.sound.file(name)
        ending = name.rpartition(".")[2]
        return (
            _download(path, title, ending, _MEDIA[ending]) if title else FileResponse(path, media_type=_MEDIA[ending])
        )

    @routes.get("/models", tags=["models"])
    def models() -> list[dict[str, Any]]:
        """The shipped composer and the versions that the chain has trained."""
        return studio.models.listed()

    @routes.post("/models/{model}/use", tags=["models"])
    def use(model: TakeId) -> dict[str, str]:
        """Let a model compose here from now on; the chain goes on with its newest version."""
        studio.models.choose(model)
        return {"composes": model}

    @routes.post("/models/{model}/faithfulness", tags=["models"])
    def measure(model: TakeId, ask: bool = False) -> dict[str, Any]:
        """Measure how like its primers a model composes; ask again after the event `answers`. With `ask` only say."""
        return studio.models.faithfulness(model, [path for _, path in studio.primers.samples()], ask=ask)

    @routes.get("/training", tags=["models"])
    def training() -> dict[str, Any]:
        """The curve of the training that runs now."""
        return studio.models.training()

    return routes


_MEDIA = {
    "mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "zip": "application/zip", "png": "image/png",
    "musicxml": "application/vnd.recordare.musicxml+xml", "json": "application/json",
}  # fmt: skip


def _download(path: Any, title: str, ending: str, media: str) -> FileResponse:
    name = quote(f"{title or 'piece'}.{ending}", safe="")
    return FileResponse(path, media_type=media, headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"})


def _rising(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Bring points into the order of their minutes, one a minute."""
    return sorted({round(minute, 3): (round(minute, 3), round(value, 1)) for minute, value in points}.values())
