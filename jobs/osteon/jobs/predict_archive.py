"""What is to be segmented and what is there already, told from two catalogs: no case is opened to know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict

from osteon.core.errors import BadInput, Conflict
from osteon.core.geometry import Grid
from osteon.inference.backends import BackendName
from osteon.jobs.predict_case import PredictJob, identity_of, other_scan
from osteon.jobs.predict_plan import Candidate, count_windows
from osteon.jobs.predict_summary import PredictOutcome
from osteon.recipes.bundle import BundleCard, read_card
from osteon.storage.catalog import CatalogRow
from osteon.storage.dataset import DATASET_KEY, Dataset
from osteon.storage.stores import Store, open_store

RECORD = "predict.json"


@dataclass(frozen=True)
class PredictRequest:
    """What is to be segmented.

    Attributes:
        model: URL of the model.
        dataset: URL of the dataset to read.
        out: URL of the dataset to write: made if there is none.
        cases: ids of cases; None for all.
        concurrency: fewest and most workers; None for as many as fit.
        cpus: processors of each worker; None for an even share of those that are there.
        gpus: GPUs of each worker; None for one where there are any.
        z_split: whether long scans are cut into ranges of planes.
        backend: the engine.
    """

    model: str
    dataset: str
    out: str
    cases: tuple[str, ...] | None = None
    concurrency: tuple[int, int] | None = None
    cpus: int | None = None
    gpus: float | None = None
    z_split: Literal["auto", "off"] = "auto"
    backend: BackendName = "auto"


class PredictRecord(BaseModel):
    """``predict.json``: what the labels of a dataset are from.

    Attributes:
        model: digest of the model.
        recipe: its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    recipe: str


@dataclass(frozen=True)
class Archive:
    """Two datasets and a model.

    Attributes:
        request: what was asked.
        card: of the model.
        source: the dataset to read.
        out: where the other one is, or will be.
    """

    request: PredictRequest
    card: BundleCard
    source: Dataset
    out: Store

    @classmethod
    def open(cls, request: PredictRequest) -> Archive:
        """Look at what is there; nothing is written.

        Raises:
            BadInput: ``same-dataset``, or a URL cannot be used.
            Conflict: ``other-model``, ``other-dataset``: the output is something else already.
        """
        archive = cls(request, read_card(request.model), Dataset.open(request.dataset), open_store(request.out))
        if archive.out == archive.source.store:
            what = "a dataset cannot be written over itself"
            raise BadInput("same-dataset", what, where=archive.out.url, remedy="choose another --out")
        archive._check_record()
        return archive

    @property
    def job(self) -> PredictJob:
        """What every worker is told."""
        model = open_store(self.request.model).url
        return PredictJob(model, self.card.digest, self.request.backend, self.source.store, self.out)

    def claim(self) -> Dataset:
        """Make the output this model's, or find that it is.

        Raises:
            Conflict: ``other-model``: another run was faster.
        """
        record = PredictRecord(model=self.card.digest, recipe=self.card.recipe.name)
        if not self.out.create_bytes(RECORD, record.model_dump_json(indent=1).encode()):
            self._check_record()
        name = unquote(self.out.url).rpartition("/")[2]
        return Dataset.create(self.out.url, name, self.card.table)

    def committed(self) -> dict[str, CatalogRow]:
        """The rows of the output's cases by id; cases that no run has catalogued yet are opened for theirs."""
        if not self.out.exists(DATASET_KEY):
            return {}
        return {row.case_id: row for row in Dataset.open(self.out.url).catalog()}

    def candidates(self) -> list[Candidate]:
        """The cases asked for, in order of id.

        Raises:
            BadInput: ``unknown-case``.
        """
        rows = {row.case_id: row for row in self.source.catalog()}
        wanted = sorted(rows if self.request.cases is None else set(self.request.cases))
        unknown = [case_id for case_id in wanted if case_id not in rows]
        if unknown:
            what = f"{', '.join(unknown[:5])} are not among the {len(rows)} cases"
            raise BadInput("unknown-case", what, where=self.source.url, remedy="list them with `osteon cases`")
        return [self._candidate(rows[case_id]) for case_id in wanted]

    def _candidate(self, row: CatalogRow) -> Candidate:
        recipe, grid = self.card.recipe, Grid(row.shape, row.spacing_mm)
        guide = row.labels_digest if recipe.prepare.needs_labels else ""
        identity = identity_of(self.card.digest, row.source_digest, guide)
        return Candidate(row.case_id, grid, row.source_digest, identity, count_windows(recipe, grid))

    def _check_record(self) -> None:
        try:
            record = PredictRecord.model_validate_json(self.out.read_bytes(RECORD))
        except FileNotFoundError:
            if self.out.exists(DATASET_KEY):
                what = "a dataset that osteon predict did not begin is here"
                raise Conflict("other-dataset", what, where=self.out.url, remedy="choose another --out") from None
            return
        if record.model != self.card.digest:
            what = f"the labels here are of model {record.model[:12]}… ({record.recipe}), not {self.card.digest[:12]}…"
            raise Conflict("other-model", what, where=self.out.url, remedy="choose another --out")


def sort_out(
    candidates: Sequence[Candidate], committed: Mapping[str, CatalogRow]
) -> tuple[list[Candidate], list[PredictOutcome]]:
    """The cases that are to be segmented, and what is told of the others."""
    todo, told = [], []
    for case in candidates:
        row = committed.get(case.case_id)
        if row is None:
            todo.append(case)
        elif (row.source_digest, row.labels_digest) == (case.source_digest, case.identity):
            told.append(PredictOutcome.skipped(case.case_id))
        else:
            told.append(PredictOutcome.refused(case.case_id, other_scan()))
    return todo, told
