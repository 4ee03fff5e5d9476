"""Cuts long scans into ranges of planes by what their zone maps say, and keeps the cuts until the scans are done.

A cut that was begun with is kept in the output, beside the parts it led to: another run, with other workers, goes on
with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from pydantic import BaseModel, ConfigDict

from osteon.core.errors import OsteonError
from osteon.inference.prepared import must_prepare
from osteon.jobs.predict_case import WORK, parts_of
from osteon.jobs.predict_plan import Candidate, Unit
from osteon.recipes.apply import scan_of
from osteon.recipes.ranges import Range, Work, cut, fewest_planes, work_by_plane
from osteon.recipes.recipe import Recipe
from osteon.storage.dataset import NUM_READERS, Dataset
from osteon.storage.stores import Store

KEY = "ranges.json"


class KeptRanges(BaseModel):
    """How a case is cut.

    Attributes:
        ranges: first plane and one past the last, of each part.
        windows: to compute for each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ranges: tuple[Range, ...]
    windows: tuple[float, ...]

    @classmethod
    def of(cls, work: Work, ranges: tuple[Range, ...]) -> KeptRanges:
        """These ranges, and the windows of each."""
        return cls(ranges=ranges, windows=tuple(float(work[stop] - work[first]) for first, stop in ranges))


@dataclass(frozen=True)
class Cutter:
    """Makes pieces of work of cases.

    Attributes:
        recipe: of the model.
        source: the dataset to read.
        out: the dataset to write.
        is_keeping: whether cuts are kept; otherwise nothing is written.
    """

    recipe: Recipe
    source: Dataset
    out: Store
    is_keeping: bool

    def units(self, cases: list[Candidate], longest: float) -> list[Unit]:
        """The pieces of all cases; only cases longer than ``longest``, in windows, or begun before are looked into."""
        begun = set(self.out.list_children(WORK))
        with ThreadPoolExecutor(NUM_READERS) as pool:
            return list(chain.from_iterable(pool.map(lambda case: self._units(case, longest, begun), cases)))

    def _units(self, case: Candidate, longest: float, begun: set[str]) -> list[Unit]:
        kept = self._kept(case) if case.case_id in begun else None
        if kept is None and case.windows > longest:
            kept = self._cut(case, longest)
        return [Unit(case, case.windows)] if kept is None else list(self._missing(case, kept))

    def _missing(self, case: Candidate, kept: KeptRanges) -> Iterator[Unit]:
        """The ranges that are not labelled; if all are, what is left is to put them together."""
        missing = parts_of(self.out, case.case_id, case.identity).missing(len(kept.ranges))
        yield from (Unit(case, kept.windows[number], kept.ranges, number) for number in missing)
        if not missing:
            yield Unit(case, 0.0, kept.ranges)

    def _cut(self, case: Candidate, longest: float) -> KeptRanges | None:
        """A new cut, unless the case is better left whole; a case that cannot be read is a worker's to refuse."""
        try:
            scan = scan_of(self.source.case(case.case_id))
            if must_prepare(self.recipe.prepare, scan.provenance.derivation):
                return None
            work = work_by_plane(self.recipe, scan.image, scan.zones, scan.levels)
        except OsteonError:
            return None
        fewest = fewest_planes(self.recipe, case.grid.spacing_mm[0])
        ranges = cut(work, math.ceil(work[-1] / longest), fewest)
        if len(ranges) == 1:
            return None
        kept = KeptRanges.of(work, ranges)
        if self.is_keeping and not self._store(case).create_bytes(KEY, kept.model_dump_json().encode()):
            return self._kept(case)
        return kept

    def _kept(self, case: Candidate) -> KeptRanges | None:
        try:
            return KeptRanges.model_validate_json(self._store(case).read_bytes(KEY))
        except FileNotFoundError:
            return None

    def _store(self, case: Candidate) -> Store:
        return parts_of(self.out, case.case_id, case.identity).store
