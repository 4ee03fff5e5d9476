"""Checks a dataset: every manifest, every object's size and digest; what is not committed; the catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from osteon.core.errors import CorruptData
from osteon.storage.case import StoredCase
from osteon.storage.catalog import CatalogRow, read_catalog
from osteon.storage.contents import HISTOGRAMS
from osteon.storage.dataset import Dataset
from osteon.storage.integrity import damages
from osteon.storage.manifest import ROOT_KEY
from osteon.storage.plan import case_prefix


class CatalogState(StrEnum):
    """How the catalog agrees with the cases."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    DAMAGED = "damaged"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(_Record):
    """Damage found.

    Attributes:
        case_id: in which case.
        key: in which object of it; empty for a case as a whole.
        code: ``lost-case``, ``damaged-manifest``, ``lost-object``, ``wrong-size`` or ``wrong-bytes``.
        detail: what exactly, chunks named.
    """

    case_id: str
    key: str
    code: str
    detail: str


class Leftover(_Record):
    """Objects that belong to no commit: an ingest that runs still, or was killed. Harmless; ingest resumes on them.

    Attributes:
        case_id: in whose folder.
        num_objects: how many.
        num_bytes: how large together.
    """

    case_id: str
    num_objects: int
    num_bytes: int


class VerifyReport(_Record):
    """What `verify` found.

    Attributes:
        url: of the dataset.
        num_cases: committed cases checked.
        num_bytes: their stored bytes.
        problems: damage.
        leftovers: what is not committed.
        catalog: the catalog's state when it was checked.
        repaired: whether catalog and fingerprint were rebuilt.
    """

    url: str
    num_cases: int
    num_bytes: int
    problems: tuple[Problem, ...]
    leftovers: tuple[Leftover, ...]
    catalog: CatalogState
    repaired: bool

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged or lost; a catalog that can be rebuilt counts once it is."""
        return not self.problems and (self.repaired or self.catalog is not CatalogState.DAMAGED)


def verify(dataset_url: str, *, repair: bool = False, on_progress: Callable[[str], None] | None = None) -> VerifyReport:
    """Read and check every byte of a dataset.

    Args:
        dataset_url: the dataset's.
        repair: rebuild catalog, label table and fingerprint from the committed cases.
        on_progress: called with each folder's case id once it is checked; `Dataset.folders` says how many come.

    Raises:
        BadInput: ``no-dataset``.
    """
    dataset = Dataset.open(dataset_url)
    state, rows = _catalog(dataset)
    checked = []
    for case_id in dataset.folders():
        checked.append(_check(dataset, case_id))
        if on_progress is not None:
            on_progress(case_id)
    cases = [each.case for each in checked if each.case is not None]
    if state is CatalogState.FRESH and {row.write_id for row in rows} != {case.manifest.write_id for case in cases}:
        state = CatalogState.STALE
    if repair:
        dataset.index([each.case for each in checked if each.case is not None and each.has_histograms])
    return VerifyReport(
        url=dataset.url,
        num_cases=len(cases),
        num_bytes=sum(case.manifest.num_bytes for case in cases),
        problems=(*(problem for each in checked for problem in each.problems), *_lost_cases(rows, checked)),
        leftovers=tuple(each.leftover for each in checked if each.leftover is not None),
        catalog=state,
        repaired=repair,
    )


@dataclass(frozen=True)
class _Checked:
    """What was found in one case's folder; no case where nothing (readable) is committed."""

    case_id: str
    case: StoredCase | None
    problems: tuple[Problem, ...]
    leftover: Leftover | None

    @property
    def has_histograms(self) -> bool:
        return not any(problem.key.startswith(HISTOGRAMS) for problem in self.problems)


def _check(dataset: Dataset, case_id: str) -> _Checked:
    prefix = case_prefix(case_id)
    sizes = {key.removeprefix(f"{prefix}/"): size for key, size in dataset.store.sizes(prefix).items()}
    if ROOT_KEY not in sizes:
        return _Checked(case_id, None, (), _leftover(case_id, sizes))
    try:
        case = dataset.case(case_id)
    except CorruptData as error:
        return _Checked(
            case_id, None, (Problem(case_id=case_id, key=ROOT_KEY, code=error.code, detail=error.what),), None
        )
    problems = tuple(
        Problem(case_id=case_id, key=damage.key, code=damage.code, detail=damage.detail)
        for damage in damages(dataset.store, prefix, case.root)
    )
    unknown = {key: size for key, size in sizes.items() if key != ROOT_KEY and key not in case.manifest.objects}
    return _Checked(case_id, case, problems, _leftover(case_id, unknown))


def _leftover(case_id: str, sizes: dict[str, int]) -> Leftover | None:
    if not sizes:
        return None
    return Leftover(case_id=case_id, num_objects=len(sizes), num_bytes=sum(sizes.values()))


def _catalog(dataset: Dataset) -> tuple[CatalogState, list[CatalogRow]]:
    try:
        rows = read_catalog(dataset.store)
    except CorruptData:
        return CatalogState.DAMAGED, []
    return (CatalogState.MISSING, []) if rows is None else (CatalogState.FRESH, rows)


def _lost_cases(rows: list[CatalogRow], checked: list[_Checked]) -> list[Problem]:
    """Cases that the catalog knows and that are no longer committed."""
    present = {each.case_id for each in checked if each.case is not None or each.problems}
    return [
        Problem(case_id=row.case_id, key="", code="lost-case", detail="the catalog lists it, and it is not committed")
        for row in rows
        if row.case_id not in present
    ]
