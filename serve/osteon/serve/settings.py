"""What a service is told when it starts: its models, its store, who may ask for what. Knows no Ray.

The same keys stand in a file for ``osteon serve --config`` and under ``args`` of a Ray Serve application.
"""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field

from osteon.core.errors import BadInput
from osteon.inference.backends import BackendName
from osteon.serve.archives import ArchiveSettings
from osteon.serve.guard import GuardSettings
from osteon.serve.sources import SourceSettings
from osteon.storage.stores import Store, open_store


class Replicas(BaseModel):
    """How many processes compute, and what each of them holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: int = Field(default=1, ge=0, description="Kept while nothing is asked; 0 lets a service sleep.")
    most: int = Field(default=1, ge=1, description="Started when steps wait.")
    cpus: float | None = Field(
        default=None,
        gt=0,
        description="Processors that each holds and computes with. Left out: it holds one, and computes with all.",
    )
    gpus: float = Field(default=0, ge=0, description="GPUs that each holds; parts of one are allowed.")
    models: int = Field(default=2, ge=1, description="Models that one keeps in memory.")

    @property
    def threads(self) -> int:
        """Threads that each computes with on the machine where this is asked."""
        return len(os.sched_getaffinity(0)) if self.cpus is None else max(1, int(self.cpus))


class ServeSettings(BaseModel):
    """Everything a service is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, str] = Field(min_length=1, description="URL of each model by the name it is asked for.")
    store: str = Field(description="Folder or s3:// URL for requests, uploads and results.")
    backend: BackendName = Field(default="auto", description="What computes the networks.")
    segmenters: Replicas = Field(default=Replicas(), description="The processes that segment.")
    api_replicas: int = Field(default=1, ge=1, description="Processes that answer HTTP.")
    guard: GuardSettings = Field(default=GuardSettings(), description="Who may enter, and how much he may ask for.")
    sources: SourceSettings = Field(default=SourceSettings(), description="What may be fetched, and from where.")
    archives: ArchiveSettings = Field(default=ArchiveSettings(), description="How large a zip of DICOM may become.")
    range_megavoxels: float = Field(
        default=48, gt=0, description="Scans above this are shared out by ranges of planes."
    )
    max_open: int = Field(
        default=1000, ge=1, description="Segmentations accepted and not yet finished; more get a 503."
    )
    keep_hours: float | None = Field(default=None, gt=0, description="Results and scans are deleted after so long.")

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""
        return next(iter(self.models))

    def open_store(self) -> Store:
        """Where requests, uploads and results lie."""
        return open_store(self.store)

    def check_model(self, name: str | None) -> str:
        """The name of a model that is served.

        Raises:
            BadInput: ``no-such-model``.
        """
        if name is not None and name not in self.models:
            remedy = f"choose among {', '.join(self.models)}"
            raise BadInput("no-such-model", f"no model {name!r} is served", remedy=remedy)
        return name or self.default_model
