"""What could not be ingested and why, kept beside the cases in ``<dataset>/quarantine/<id>.json``.

An entry names the code, the reason and the source's digest; never a file name, a path or a patient field.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from pydantic import BaseModel, ConfigDict

from osteon.jobs.ingest_summary import CaseOutcome
from osteon.storage.stores import Store

FOLDER = "quarantine"


class QuarantineEntry(BaseModel):
    """Why a source was kept out.

    Attributes:
        case_id: the id it would have had.
        source_digest: digest of the source's bytes; empty if they could not be read.
        code: machine code of the refusal.
        reason: the same for people.
        remedy: what can be done about it.
    """

    model_config = ConfigDict(frozen=True)

    case_id: str
    source_digest: str
    code: str
    reason: str
    remedy: str = ""


class Quarantine:
    """The quarantine of one dataset, as one run sees it."""

    def __init__(self, dataset: Store) -> None:
        self._store = dataset.child(FOLDER)
        self._ids = {key.removesuffix(".json") for key in self._store.list()}

    def put(self, outcome: CaseOutcome, source_digest: str, paths: tuple[str, ...]) -> None:
        """Keep an entry of a refused case; the source's ``paths`` and their names are blotted out of what it says."""
        entry = QuarantineEntry(
            case_id=outcome.case_id,
            source_digest=source_digest,
            code=outcome.code,
            reason=_without(outcome.reason, paths),
            remedy=_without(outcome.remedy, paths),
        )
        self._store.write_bytes(f"{outcome.case_id}.json", entry.model_dump_json(indent=1).encode())
        self._ids.add(outcome.case_id)

    def drop(self, case_id: str) -> None:
        """Forget a case that is well now."""
        if case_id in self._ids:
            self._store.delete(f"{case_id}.json")
            self._ids.remove(case_id)


def _without(text: str, paths: tuple[str, ...]) -> str:
    """The text with every path and file name of ``paths`` replaced, longest first."""
    for part in sorted({part for path in paths for part in (path, PurePath(path).name)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "<file>", text)
    return text
