"""A scan segmented by a model of prepared scans: prepared, segmented and put back, one derived case after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from osteon.core.chain import Derivation
from osteon.core.errors import BadInput
from osteon.core.labels import BACKGROUND, LabelTable, other_side, table_for
from osteon.core.volume import Volume
from osteon.data.prepare import Guide, PrepareSpec, plan_scan, prepare_hu, restore_labels
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.postprocess import Labels
from osteon.inference.segmenter import Segmenter


def must_prepare(spec: PrepareSpec, derivation: Derivation | None) -> bool:
    """Whether a scan has to be prepared before a model of this spec sees it; ``derivation`` says if it was already.

    Raises:
        BadInput: ``other-preparation``: it was prepared, and otherwise.
    """
    if derivation is None or not spec.is_active:
        return spec.is_active
    if derivation.spec_digest != spec.digest:
        what = f"the case was prepared from {derivation.case_id} otherwise than the model's recipe says"
        remedy = "give the scan itself, or prepare it with the model's recipe"
        raise BadInput("other-preparation", what, remedy=remedy)
    return False


def restored_table(table: LabelTable, spec: PrepareSpec) -> LabelTable:
    """The bones that restored labels may hold: where left ones were mirrored, those of both sides."""
    if not spec.femurs:
        return table
    return table_for(name for label in table.labels for name in (label.name, other_side(label.name)))


def segment_prepared(
    segmenter: Segmenter,
    levels: Sequence[Volume],
    spec: PrepareSpec,
    guide: Guide | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Labels:
    """Label ids of every voxel of a scan, z, y, x, of `restored_table`; where two derived cases overlap, the first's.

    A derived case and its labels are held whole, besides the labels of the scan.

    Args:
        segmenter: of the model.
        levels: the scan's pyramid in HU, level 0 first; at least that.
        spec: how the model's training cases were prepared.
        guide: labels that show where the bones are, if the spec has to find some.
        on_progress: called with the windows done and the windows there are, of all derived cases.

    Raises:
        BadInput: as `plan_scan`.
    """
    source, plans = levels[0].grid, plan_scan(levels, guide, spec)
    result = np.full(source.shape, BACKGROUND, restored_table(segmenter.table, spec).dtype)
    for number, plan in enumerate(plans):
        hu = prepare_hu(levels, plan, spec, (0, plan.grid.shape[0]))
        part = _part(on_progress, number, len(plans)) if on_progress else None
        labels = segmenter.segment(InMemoryVolume(hu, plan.grid), zones_of(hu), part)
        restored = restore_labels(labels, plan.chain, source)
        np.copyto(result, restored, where=result == BACKGROUND, casting="unsafe")
    return result


def _part(on_progress: Callable[[int, int], None], number: int, count: int) -> Callable[[int, int], None]:
    """Progress of one of several parts, as if all had as many windows."""
    return lambda done, total: on_progress(number * total + done, count * total)
