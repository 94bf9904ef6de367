"""What requests may hold, with the bounds of each number."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ambient.studio.services.takes import MOST_MINUTES, MOST_TAKES
from ambient.studio.services.uploads import MOST_FILES

Point = tuple[Annotated[float, Field(ge=0, le=240)], Annotated[float, Field(ge=0, le=100)]]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Id = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]*$")]


class Body(BaseModel):
    """A request's JSON; fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid")


class ErrorAnswer(BaseModel):
    """Why a request was refused."""

    error: str


class UploadBody(Body):
    """The names of the files that will be sent."""

    names: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=1000)]], Field(min_length=1, max_length=MOST_FILES)
    ]


class PutBody(Body):
    """Which files of an upload to put."""

    files: list[int]


class UseBody(Body):
    """Whether a song is used for training."""

    used: bool


class PrimerBody(Body):
    """A passage to go on from."""

    kind: Literal["none", "sample", "file", "song", "piece"] = "none"
    id: Id = ""
    begin_s: Seconds = 0.0
    end_s: Seconds | None = None


class ComposeBody(Body):
    """What to compose."""

    primer: PrimerBody = PrimerBody()
    model: Id = ""
    minutes: Annotated[float, Field(gt=0, le=MOST_MINUTES)] = 2.0
    count: Annotated[int, Field(ge=1, le=MOST_TAKES)] = 4
    seed: Annotated[int, Field(ge=0, le=2**31)] | None = None
    density: list[Point] | None = None
    register_: Annotated[list[Point] | None, Field(alias="register")] = None
    polyphony: list[Point] | None = None
    loudness: list[Point] | None = None
    note_length: list[Point] | None = None
    adventure: Annotated[float, Field(ge=0, le=100)] = 50.0


class MoreBody(Body):
    """How many more."""

    count: Annotated[int, Field(ge=1, le=MOST_TAKES)] = 3


class AgainBody(Body):
    """From which moment on to compose anew."""

    at_s: Annotated[float, Field(gt=0, le=86_400)]
    count: Annotated[int, Field(ge=1, le=MOST_TAKES)] = 2
    minutes: Annotated[float, Field(gt=0, le=MOST_MINUTES)] | None = None


class VerdictBody(Body):
    """What is to become of a take."""

    verdict: Literal["open", "kept", "discarded"]


class RenderBody(Body):
    """What to render."""

    piece: Id
    preset: Annotated[str, Field(max_length=50)] = "auto"
    kind: Literal["mp3", "wav", "flac", "stems", "picture", "score", "loudness"] = "mp3"


class TokenBody(Body):
    """What was printed at the start."""

    token: Annotated[str, Field(max_length=200)]
