"""The femur protocol on real anatomy: labels of a scan that lies aslant, cut through both shafts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from osteon.core.geometry import Grid, Reorientation
from osteon.core.labels import table_for
from osteon.core.volume import Array
from osteon.data.prepare import Guide, PrepareSpec, plan_scan, prepare_labels, restore_labels

TABLE = table_for(["femur_left", "femur_right"])


@pytest.fixture(scope="module")
def femurs(real_data: Path) -> tuple[Array, Grid]:
    """Label ids in LPS order, and their grid."""
    folder = real_data / "totalseg-s0327-labels-rotated" / "segmentations"
    images = {name: sitk.ReadImage(str(folder / f"{name}.nii.gz")) for name in TABLE.ids}
    image = images["femur_left"]
    grid = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    order = Reorientation.to_lps(grid)
    masks = {name: order.apply(sitk.GetArrayFromImage(each)) != 0 for name, each in images.items()}
    ids = sum(np.where(mask, TABLE.ids[name], 0) for name, mask in masks.items())
    return np.asarray(ids, np.uint8), order.apply_grid(grid)


@pytest.mark.realdata
@pytest.mark.parametrize("align", [False, True], ids=["cropped", "aligned"])
def test_both_femurs_become_right_ones_and_come_back(
    align: bool, femurs: tuple[Array, Grid], volume: Callable[..., Any], dice: Callable[[Array, Array], float]
) -> None:
    ids, grid = femurs
    levels = (volume(ids, grid),)
    spec = PrepareSpec(femurs=True, align_shaft=align, spacing_mm=(1.0, 1.0, 1.0))
    plans = plan_scan(levels, Guide(levels, TABLE), spec)
    assert [plan.suffix for plan in plans] == ["-left", "-right"]
    back = np.zeros_like(ids)
    for plan in plans:
        labels = prepare_labels(levels, plan, (0, plan.grid.shape[0]))
        head, foot = (np.argwhere(part)[:, 2].mean() for part in (labels[-60:], labels[:60]))
        assert head > foot, "the head of a right femur points to the patient's left, where x grows"
        back = np.maximum(back, restore_labels(labels, plan.chain, grid))
    assert dice(back, ids) >= 0.97
