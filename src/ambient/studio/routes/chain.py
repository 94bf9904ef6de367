"""Routes of the flow and of the songs."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

from ambient.studio.routes.bodies import PutBody, UploadBody, UseBody
from ambient.studio.services.studio import Studio
from ambient.studio.store import SONGS, SPECS

Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,80}$")]


def router(studio: Studio) -> APIRouter:
    """Return the routes over a studio."""
    routes = APIRouter(prefix="/api")

    @routes.get("/events", tags=["flow"], response_class=StreamingResponse)
    async def events() -> StreamingResponse:
        """Server-sent events: `flow`, `takes`, `sound`, `answers` as they are now, `notes` as they are composed."""
        return StreamingResponse(
            studio.hub.stream(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    @routes.get("/flow", tags=["flow"])
    def flow() -> dict[str, Any]:
        """The chain as it is now."""
        return studio.store.chain()

    @routes.get("/flow/{pipeline}/job", tags=["flow"])
    def job(pipeline: Name) -> dict[str, Any]:
        """The newest job of a pipeline: its datums and what their programs wrote."""
        return studio.store.job(pipeline) if pipeline in SPECS else {"datums": [], "log": []}

    @routes.get("/flow/{repo}/files", tags=["flow"])
    def files(repo: Name) -> list[dict[str, Any]]:
        """The files of a repo."""
        return [{"path": each.path, "bytes": each.size} for each in studio.store.files(repo)]

    @routes.post("/samples", tags=["flow"])
    def samples() -> dict[str, str]:
        """Put the sample songs and primers, and make the chain."""
        return {"commit": studio.put_samples()}

    @routes.get("/commits", tags=["flow"])
    def commits() -> list[dict[str, Any]]:
        """What was put and taken out, newest first, and what each change set off."""
        return studio.store.history(SONGS)

    @routes.post("/commits/{commit}/undo", tags=["flow"])
    def undo(commit: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]) -> dict[str, str]:
        """Take back what a commit changed, by another commit."""
        return {"commit": studio.store.undo(SONGS, commit)}

    @routes.post("/uploads", tags=["uploads"])
    def begin(body: UploadBody) -> dict[str, Any]:
        """Begin an upload; says which names no recording has."""
        return studio.uploads.begin(body.names)

    @routes.put("/uploads/{upload}/{index}", tags=["uploads"])
    async def receive(upload: Name, index: int, request: Request) -> dict[str, Any]:
        """Send one file as the body; says what is odd about it."""
        return await studio.uploads.receive(upload, index, request.stream())

    @routes.post("/uploads/{upload}/put", tags=["uploads"])
    def put(upload: Name, body: PutBody) -> dict[str, Any]:
        """Put files that were received, in one commit; the chain begins to work on them."""
        return studio.uploads.put(upload, body.files)

    @routes.delete("/uploads/{upload}", tags=["uploads"])
    def cancel(upload: Name) -> dict[str, bool]:
        """Forget an upload."""
        studio.uploads.cancel(upload)
        return {"cancelled": True}

    @routes.get("/songs", tags=["songs"])
    def songs() -> list[dict[str, Any]]:
        """All songs, those that are set aside too."""
        return studio.songs.listed()

    @routes.get("/songs/{song}/notes", tags=["songs"])
    def notes(song: Digest) -> dict[str, Any]:
        """The transcription of a song: rows of start, pitch, end, velocity, and how sure it is of each."""
        studio.songs.file(song)
        return studio.songs.transcription(song)

    @routes.get("/songs/{song}/peaks", tags=["songs"])
    def peaks(song: Digest) -> dict[str, Any]:
        """The waveform of a song."""
        studio.songs.file(song)
        return studio.songs.peaks(song)

    @routes.get("/songs/{song}/audio", tags=["songs"], response_class=FileResponse)
    async def audio(song: Digest, plain: bool = False) -> FileResponse:
        """The recording; `plain` is the 16 kHz WAV that the chain hears, for what no browser plays."""
        file = await run_in_threadpool(studio.songs.file, song)
        sound = await run_in_threadpool(studio.songs.sound, song) if plain else None
        if sound:
            return FileResponse(sound, media_type="audio/wav")
        ending = file.path.rpartition(".")[2].lower()
        return FileResponse(studio.store.place(song), media_type=_MEDIA.get(ending, "application/octet-stream"))

    @routes.post("/songs/{song}/use", tags=["songs"])
    def use(song: Digest, body: UseBody) -> dict[str, bool]:
        """Use a song for training, or set it aside."""
        studio.songs.switch(song, used=body.used)
        return {"used": body.used}

    return routes


_MEDIA = {
    "mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "opus": "audio/ogg",
    "oga": "audio/ogg", "m4a": "audio/mp4", "mp4": "audio/mp4", "aac": "audio/aac", "webm": "audio/webm",
}  # fmt: skip
