"""Volumes of a bone's compartments against a reference, as Deng et al. 2022 report them. Knows label arrays; no files.

The relative error is |V - V_ref| / V_ref, as in its comparison of femoral volumes (all below 5 % there).
"""

from __future__ import annotations

import numpy as np

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.evaluation.scores import Score

INTEGRAL = "integral"  # all compartments together, as densitometry calls it


class VolumeComparison(Score):
    """One compartment's volume in a prediction and in its reference.

    Attributes:
        name: of the compartment; `INTEGRAL` for all of them.
        predicted_mm3: volume in the prediction.
        reference_mm3: volume in the reference.
        relative_error: share of the reference volume, not negative; None if the reference has no voxel of it.
    """

    name: str
    predicted_mm3: float
    reference_mm3: float
    relative_error: float | None


def compare_volumes(prediction: Array, reference: Array, grid: Grid, table: LabelTable) -> tuple[VolumeComparison, ...]:
    """The volumes of every compartment of ``table``, and of all together last.

    Args:
        prediction: label ids z, y, x; ids outside of the table are left out.
        reference: the same.
        grid: of both.
        table: the compartments, for example those of `osteon.inference.compartments`.

    Raises:
        BadInput: ``grid-mismatch`` if an array is not of the grid's shape.
    """
    for name, labels in (("prediction", prediction), ("reference", reference)):
        if labels.shape != grid.shape:
            what = f"the {name} has shape {labels.shape}, its grid {grid.shape}"
            raise BadInput("grid-mismatch", what, remedy="compare labels on the grid of the scan")
    predicted, expected = _volumes_mm3(prediction, grid, table), _volumes_mm3(reference, grid, table)
    return tuple(_compared(name, predicted[name], expected[name]) for name in predicted)


def _volumes_mm3(labels: Array, grid: Grid, table: LabelTable) -> dict[str, float]:
    voxel_mm3 = float(np.prod(grid.spacing_mm))
    volumes = {name: np.count_nonzero(labels == id_) * voxel_mm3 for id_, name in table.names.items()}
    return volumes | {INTEGRAL: sum(volumes.values())}


def _compared(name: str, predicted_mm3: float, reference_mm3: float) -> VolumeComparison:
    error = abs(predicted_mm3 - reference_mm3) / reference_mm3 if reference_mm3 else None
    return VolumeComparison(name=name, predicted_mm3=predicted_mm3, reference_mm3=reference_mm3, relative_error=error)
