"""What came of an ingest: one outcome per case, and the summary that people and machines read. Touches no store."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from osteon.core.errors import OsteonError

Status = Literal["planned", "ingested", "skipped", "ignored", "quarantined"]


class CaseOutcome(BaseModel):
    """What happened to one case.

    Attributes:
        case_id: the id in the dataset; empty for a planned case whose id will follow from its digest.
        status: what became of it; ignored are images that are no volume, such as localizers.
        source: where the scan was found; shown on screen only, never stored.
        code: machine code of a refusal, or of why there was nothing to do; empty if ingested.
        reason: the same for people.
        remedy: what can be done about it.
        labels: names of the labels in the case.
        num_bytes: source bytes read.
        seconds: wall time from the first byte to the commit.
    """

    model_config = ConfigDict(frozen=True)

    case_id: str
    status: Status
    source: str = ""
    code: str = ""
    reason: str = ""
    remedy: str = ""
    labels: tuple[str, ...] = ()
    num_bytes: int = 0
    seconds: float = 0.0

    @classmethod
    def refused(cls, status: Status, case_id: str, source: str, error: OsteonError) -> CaseOutcome:
        """The outcome of something that ``error`` kept out."""
        return cls(
            case_id=case_id,
            status=status,
            source=source,
            code=error.code,
            reason=error.what,
            remedy=error.remedy,
        )


class IngestSummary(BaseModel):
    """What happened to all of them.

    Attributes:
        dataset: URL of the dataset.
        layout: how the sources were read.
        cases: one outcome per case, in the order of the sources.
        notes: files that were passed over, and why.
        num_bytes: source bytes read.
        seconds: wall time of the whole run.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    layout: str
    cases: tuple[CaseOutcome, ...]
    notes: tuple[str, ...] = ()
    num_bytes: int = 0
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """How many cases ended so."""
        return sum(case.status == status for case in self.cases)

    @property
    def exit_code(self) -> int:
        """0 all well, 3 some quarantined, 1 nothing done."""
        if not any(self.count(status) for status in ("planned", "ingested", "skipped")):
            return 1
        return 3 if self.count("quarantined") else 0
