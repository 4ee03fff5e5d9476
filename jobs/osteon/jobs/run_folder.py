"""The folder a training run leaves, behind a URL: what it was asked to do, its metrics, its checkpoints, its model.

``run.json`` is put first, so a folder belongs to one run, and changes only if that is to last longer; everything else
can be replaced or added.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.errors import BadInput, Conflict, CorruptData
from osteon.core.labels import LabelTable
from osteon.recipes.recipe import Recipe
from osteon.storage.stores import Store
from osteon.training.checkpoint import Checkpoints
from osteon.training.plan import Split

RECORD = "run.json"
METRICS = "metrics.jsonl"
MODEL = "model"


class RunRecord(BaseModel):
    """What a run was asked to do, resolved once: a resumed run does the same though the dataset may have grown.

    Attributes:
        recipe: every number.
        dataset: name of the dataset.
        training: cases learnt from.
        validation: cases judged by.
        labels: name by id of the bones learnt, those of the training cases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    dataset: str
    training: tuple[str, ...]
    validation: tuple[str, ...]
    labels: dict[int, str]

    @property
    def split(self) -> Split:
        """The cases, as a split."""
        return Split(self.training, self.validation)

    @property
    def table(self) -> LabelTable:
        """The bones learnt: class k is its k-th label."""
        return LabelTable.of(self.labels)


@dataclass(frozen=True)
class RunFolder:
    """The places in a run's folder.

    Attributes:
        store: the folder.
    """

    store: Store

    @property
    def checkpoints(self) -> Checkpoints:
        """Where the run's states are kept."""
        return Checkpoints(self.store.child("checkpoints"))

    @property
    def model(self) -> Store:
        """Where the finished model is put."""
        return self.store.child(MODEL)

    def claim(self, record: RunRecord) -> None:
        """Make the folder this run's.

        Raises:
            Conflict: ``run-exists`` if a run was started there before.
        """
        if not self.store.create_bytes(RECORD, _json(record)):
            raise Conflict(
                "run-exists",
                "a run was started here before",
                where=self.store.url,
                remedy="go on with it by --resume, or choose another --out",
            )

    def lengthen(self, record: RunRecord) -> None:
        """Let the run last longer; it has no model until it has ended again."""
        self.store.delete(MODEL)
        self.store.write_bytes(RECORD, _json(record))

    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.store.exists(RECORD)

    def record(self) -> RunRecord:
        """What the run was asked to do.

        Raises:
            BadInput: ``no-run`` if none was started here.
            CorruptData: ``bad-run`` if its record cannot be read.
        """
        try:
            return RunRecord.model_validate_json(self.store.read_bytes(RECORD))
        except FileNotFoundError as error:
            raise BadInput(
                "no-run", "no run was started here", where=self.store.url, remedy="start one by osteon train"
            ) from error
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise CorruptData("bad-run", f"{RECORD} is damaged at {place!r}", where=self.store.url) from error

    def metrics(self, up_to_step: int | None = None) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, without those after ``up_to_step``."""
        try:
            text = self.store.read_bytes(METRICS).decode()
        except FileNotFoundError:
            return []
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if up_to_step is None or line["step"] <= up_to_step]

    def write_metrics(self, lines: list[dict[str, Any]]) -> None:
        """Replace metrics.jsonl."""
        self.store.write_bytes(METRICS, "".join(json.dumps(line) + "\n" for line in lines).encode())


def _json(record: RunRecord) -> bytes:
    return record.model_dump_json(indent=2).encode()
