"""What came of a preparation: one outcome per derived case, and the summary that people and machines read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from osteon.core.geometry import Index3, Vector3

Status = Literal["planned", "prepared", "skipped", "quarantined"]


class PrepareOutcome(BaseModel):
    """What happened to one derived case, or to a source case that none could be derived from.

    Attributes:
        case_id: the derived case; the source case if nothing could be derived.
        source: the source case.
        status: what became of it.
        code: machine code of a refusal, or of why there was nothing to do; empty if prepared.
        reason: the same for people.
        remedy: what can be done about it.
        shape: its voxels z, y, x, once they are known.
        spacing_mm: their spacing.
        num_bytes: bytes of its voxels in memory.
        seconds: wall time of the source case.
    """

    model_config = ConfigDict(frozen=True)

    case_id: str
    source: str
    status: Status
    code: str = ""
    reason: str = ""
    remedy: str = ""
    shape: Index3 | None = None
    spacing_mm: Vector3 | None = None
    num_bytes: int = 0
    seconds: float = 0.0


class PrepareSummary(BaseModel):
    """What happened to all of them.

    Attributes:
        dataset: URL of the derived dataset.
        source: URL of the source dataset.
        cases: outcomes, in the order of the source cases.
        seconds: wall time of the whole run.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    source: str
    cases: tuple[PrepareOutcome, ...]
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """How many cases ended so."""
        return sum(case.status == status for case in self.cases)

    @property
    def exit_code(self) -> int:
        """0 all well, 3 some quarantined, 1 nothing done."""
        if not any(self.count(status) for status in ("planned", "prepared", "skipped")):
            return 1
        return 3 if self.count("quarantined") else 0
