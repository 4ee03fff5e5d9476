"""What goes over the wire and into the store: orders, where they stand, models. All frozen, all checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from osteon.serve.problems import Problem

State = Literal["accepted", "reading", "segmenting", "finishing", "done", "failed", "cancelled"]
Format = Literal["nifti", "nrrd", "dicomseg", "omezarr", "stl", "json"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bone(_Frozen):
    """A bone that was found."""

    name: str
    id: int = Field(description="Its value in the labels.")
    volume_ml: float
    color: str = Field(description="#rrggbb")


class Wish(_Frozen):
    """What is asked for by URL or by an upload that was announced before."""

    source: Url | None = Field(default=None, description="URL of a scan or of a stored case.")
    upload: Name | None = Field(default=None, description="Id that POST /v1/uploads gave.")
    model: Name | None = Field(default=None, description="One of GET /v1/models; the first one by default.")
    labels: tuple[Name, ...] | None = Field(default=None, description="Bones that are wanted; all by default.")
    deposit: bool = Field(
        default=False, description="Store the DICOM SEG in the DICOMweb archive that the series came from."
    )

    @model_validator(mode="after")
    def _one_scan(self) -> Wish:
        if (self.source is None) == (self.upload is None):
            raise ValueError("give either source or upload")
        return self


class Order(_Frozen):
    """A request that was accepted; written once.

    Attributes:
        id: names it for ever.
        owner: who asked.
        model: name of the model.
        labels: bones that are wanted; None for all.
        source: URL of the scan; None if it was sent.
        upload: key of the scan that was sent; None if it is fetched.
        deposit: whether the archive that the scan came from is given the bones.
        created: when.
        digest: of what was asked, to tell a repetition from another request.
        request_id: of the HTTP request, as the logs of all processes name it.
    """

    id: str
    owner: str
    model: str
    labels: tuple[str, ...] | None = None
    source: str | None = None
    upload: str | None = None
    deposit: bool = False
    created: AwareDatetime
    digest: str
    request_id: str = "-"


class Seconds(_Frozen):
    """How long each part took."""

    waiting: float = 0.0
    reading: float = 0.0
    segmenting: float = 0.0
    finishing: float = 0.0

    def rounded(self) -> Seconds:
        """To milliseconds."""
        return Seconds(**{name: round(seconds, 3) for name, seconds in self.model_dump().items()})


class Standing(_Frozen):
    """How far an order is; written anew with every change."""

    state: State = "accepted"
    progress: float = Field(default=0.0, ge=0, le=1)
    updated: AwareDatetime
    model_digest: str | None = None
    bones: tuple[Bone, ...] = ()
    formats: tuple[Format, ...] = ()
    seconds: Seconds = Seconds()
    problem: Problem | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


class ModelName(_Frozen):
    """Which model, exactly."""

    name: str
    digest: str | None = Field(description="SHA-256 of the model; null until it was used.")


class Segmentation(_Frozen):
    """A request and where it stands."""

    id: str
    state: State
    progress: float
    model: ModelName
    labels: tuple[str, ...] | None
    created: AwareDatetime
    updated: AwareDatetime
    bones: tuple[Bone, ...]
    formats: tuple[Format, ...] = Field(description="What the result can be had as.")
    seconds: Seconds
    problem: Problem | None

    @classmethod
    def of(cls, order: Order, standing: Standing) -> Segmentation:
        """The public view of an order."""
        kept = standing.model_dump(include={"state", "progress", "updated", "bones", "formats", "seconds", "problem"})
        model = ModelName(name=order.model, digest=standing.model_digest)
        return cls.model_validate(
            kept | {"id": order.id, "model": model, "labels": order.labels, "created": order.created}
        )


class SegmentationPage(_Frozen):
    """Some of a caller's segmentations, newest first."""

    items: tuple[Segmentation, ...]
    next: str | None = Field(description="What to give as `after` for the rest; null if there is none.")


class ModelBone(_Frozen):
    """A bone that a model tells apart."""

    name: str
    id: int
    color: str


class Model(_Frozen):
    """A model that is served."""

    name: str
    digest: str
    description: str
    spacing_mm: tuple[float, float, float] | None = Field(description="Of its voxels z, y, x; null if the scan's own.")
    parameters: int
    bones: tuple[ModelBone, ...]


class ModelList(_Frozen):
    """Every model that is served."""

    models: tuple[Model, ...]


class UploadWish(_Frozen):
    """What is going to be sent."""

    filename: Name = Field(description="Only its ending is kept.")
    size: int | None = Field(default=None, ge=1, description="Bytes.")


class Upload(_Frozen):
    """Where to send it."""

    id: str
    url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str] = {}
    expires: AwareDatetime


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
