"""A scan segmented by a model of prepared scans: prepared, segmented and put back, one derived case after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from osteon.core.chain import Derivation
from osteon.core.errors import BadInput
from osteon.core.labels import LabelTable
from osteon.core.volume import Labels, Volume
from osteon.data.prepare import Guide, Part, PrepareSpec, plan_scan, prepare_hu, restore_parts
from osteon.inference.in_memory import InMemoryVolume, zones_of
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


def segment_prepared(
    segmenter: Segmenter,
    levels: Sequence[Volume],
    spec: PrepareSpec,
    guide: Guide | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Labels, LabelTable]:
    """Label ids of every voxel of a scan, z, y, x, and their names; where two derived cases overlap, the first's.

    Derived cases are held whole, HU of one and labels of all, besides the labels of the scan.

    Args:
        segmenter: of the model.
        levels: the scan's pyramid in HU, level 0 first; at least that.
        spec: how the model's training cases were prepared.
        guide: labels that show where the bones are, if the spec has to find some.
        on_progress: called with the windows done and the windows there are, of all derived cases.

    Raises:
        BadInput: as `plan_scan`.
    """
    plans, parts = plan_scan(levels, guide, spec), []
    for number, plan in enumerate(plans):
        hu = prepare_hu(levels, plan, spec, (0, plan.grid.shape[0]))
        progress = _share(on_progress, number, len(plans)) if on_progress else None
        labels = segmenter.segment(InMemoryVolume(hu, plan.grid), zones_of(hu), progress)
        parts.append(Part(labels, segmenter.table, plan.chain))
    restored, table = restore_parts(parts, levels[0].grid)
    return cast(Labels, restored), table


def _share(on_progress: Callable[[int, int], None], number: int, count: int) -> Callable[[int, int], None]:
    """Progress of one of several cases, as if all had as many windows."""
    return lambda done, total: on_progress(number * total + done, count * total)
