"""What came of segmenting an archive: one outcome per case, and the summary that people and machines read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from osteon.core.errors import OsteonError

Status = Literal["planned", "predicted", "skipped", "quarantined"]


class PredictOutcome(BaseModel):
    """What happened to one case.

    Attributes:
        case_id: the case, in both datasets.
        status: what became of it.
        code: machine code of a refusal, or of why there was nothing to do; empty if predicted.
        reason: the same for people.
        remedy: what can be done about it.
        ranges: in how many ranges of planes it is labelled.
    """

    model_config = ConfigDict(frozen=True)

    case_id: str
    status: Status
    code: str = ""
    reason: str = ""
    remedy: str = ""
    ranges: int = 1

    @classmethod
    def refused(cls, case_id: str, error: OsteonError) -> PredictOutcome:
        """The outcome of a case that ``error`` kept out."""
        return cls(case_id=case_id, status="quarantined", code=error.code, reason=error.what, remedy=error.remedy)

    @classmethod
    def skipped(cls, case_id: str) -> PredictOutcome:
        """The outcome of a case that is there."""
        reason = "the output holds this case already, from the same scan and model"
        return cls(case_id=case_id, status="skipped", code="already-committed", reason=reason)


class PredictSummary(BaseModel):
    """What happened to all of them.

    Attributes:
        dataset: URL of the dataset written.
        source: URL of the dataset read.
        model: digest of the model.
        cases: outcomes, in order of case id.
        seconds: wall time of the whole run.
        voxels: labelled in this run, those of ranges of unfinished cases included.
        labelling_seconds: spent on labelling, of all workers together.
        waiting_seconds: of these, waited for data.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    source: str
    model: str
    cases: tuple[PredictOutcome, ...]
    seconds: float = 0.0
    voxels: int = 0
    labelling_seconds: float = 0.0
    waiting_seconds: float = 0.0

    def count(self, status: Status) -> int:
        """How many cases ended so."""
        return sum(case.status == status for case in self.cases)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def scans_per_hour(self) -> float:
        """Cases predicted in an hour of wall time, start and end of the run included."""
        return 3600 * self.count("predicted") / self.seconds if self.seconds else 0.0

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def voxels_per_second(self) -> float:
        """Voxels labelled in a second of wall time."""
        return self.voxels / self.seconds if self.seconds else 0.0

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def wait_share(self) -> float:
        """Share of the labelling time that workers waited for data."""
        return self.waiting_seconds / self.labelling_seconds if self.labelling_seconds else 0.0

    @property
    def exit_code(self) -> int:
        """0 all well, 3 some quarantined, 1 nothing done."""
        if not any(self.count(status) for status in ("planned", "predicted", "skipped")):
            return 1
        return 3 if self.count("quarantined") else 0
