import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice
from monai.metrics.surface_distance import compute_average_surface_distance

from osteon.core.geometry import Index3, Vector3
from osteon.evaluation.surface import SurfaceScores, compare_surfaces, find_surfaces

Labels = npt.NDArray[np.uint8]


def cube(start: Index3, size: int, shape: Index3 = (16, 16, 16)) -> Labels:
    labels = np.zeros(shape, dtype=np.uint8)
    labels[tuple(slice(first, first + size) for first in start)] = 1
    return labels


def compare(
    prediction: Labels, reference: Labels, spacing_mm: Vector3 = (1, 1, 1), tolerance_mm: float = 1
) -> SurfaceScores:
    return compare_surfaces(find_surfaces(prediction, 2), find_surfaces(reference, 2), 1, spacing_mm, tolerance_mm)


def test_the_surface_of_a_cube_is_its_outer_shell() -> None:
    surfaces = find_surfaces(cube((4, 4, 4), 5), 2)

    assert len(surfaces.of(1)) == 5**3 - 3**3
    assert np.ravel_multi_index((6, 6, 6), (16, 16, 16)) not in surfaces.of(1)


def test_voxels_at_the_end_of_the_scan_are_surface() -> None:
    assert len(find_surfaces(np.ones((4, 4, 4), dtype=np.uint8), 2).of(1)) == 4**3 - 2**3


def test_touching_bones_have_surfaces_against_each_other() -> None:
    labels = np.ones((3, 3, 6), dtype=np.uint8)
    labels[:, :, 3:] = 2

    surfaces = find_surfaces(labels, 3)

    assert np.ravel_multi_index((1, 1, 2), labels.shape) in surfaces.of(1)
    assert np.ravel_multi_index((1, 1, 3), labels.shape) in surfaces.of(2)
    assert len(surfaces.of(1)) == 27 - 1


def test_equal_surfaces_are_at_distance_zero() -> None:
    labels = cube((3, 3, 3), 6)

    assert compare(labels, labels) == SurfaceScores(hd_mm=0, hd95_mm=0, asd_mm=0, surface_dice=1)


def test_two_cubes_shifted_along_z_are_one_slice_apart() -> None:
    scores = compare(cube((5, 5, 5), 4), cube((4, 5, 5), 4), spacing_mm=(2.5, 0.5, 0.5), tolerance_mm=1)

    assert scores.hd_mm == pytest.approx(2.5)
    assert scores.hd95_mm == pytest.approx(2.5)
    moved = 2 * 4 * 4  # each cube's two caps of 16 voxels: one cap lies outside of the other cube, …
    inside = 2 * 2 * 2  # … of the other only the 2 x 2 voxels that the neighbour's shell does not hold
    shell = 2 * (4**3 - 2**3)
    near = inside  # half a millimetre sideways from those four to the other's walls
    assert scores.surface_dice == pytest.approx(1 - moved / shell)
    assert scores.asd_mm == pytest.approx((moved * 2.5 + near * 0.5) / shell)


def test_one_voxel_is_all_surface_and_its_distance_is_that_of_centres() -> None:
    prediction, reference = cube((2, 2, 2), 1), cube((5, 6, 2), 1)

    scores = compare(prediction, reference, spacing_mm=(1, 2, 3), tolerance_mm=math.hypot(3, 8))

    assert scores.hd_mm == scores.hd95_mm == scores.asd_mm == pytest.approx(math.hypot(3, 8))
    assert scores.surface_dice == 1


def test_hd95_is_the_larger_of_both_directions() -> None:
    reference = cube((4, 4, 4), 4)
    prediction = reference.copy()
    prediction[15, 15, 15] = 1  # far from the reference; nothing of the reference is far from the prediction

    scores = compare(prediction, reference)

    assert scores.hd_mm == pytest.approx(math.sqrt(3 * 8**2))
    assert scores.hd95_mm == 0


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI 1.6's own call
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.8)])
@pytest.mark.parametrize("tolerance_mm", [0.9, 2.0])
def test_distances_agree_with_monai(blobs: tuple[Labels, Labels], spacing_mm: Vector3, tolerance_mm: float) -> None:
    prediction, reference = blobs
    surfaces = find_surfaces(prediction, 6), find_surfaces(reference, 6)

    ours = [compare_surfaces(*surfaces, number, spacing_mm, tolerance_mm) for number in range(1, 6)]

    theirs = one_hot(prediction), one_hot(reference)
    spacing = list(spacing_mm)
    hd = compute_hausdorff_distance(*theirs, spacing=spacing)[0]
    hd95 = compute_hausdorff_distance(*theirs, spacing=spacing, percentile=95)[0]
    asd = compute_average_surface_distance(*theirs, spacing=spacing, symmetric=True)[0]
    surface_dice = compute_surface_dice(*theirs, class_thresholds=[tolerance_mm] * 5, spacing=spacing)[0]
    np.testing.assert_allclose([score.hd_mm for score in ours], hd, rtol=1e-5)
    np.testing.assert_allclose([score.hd95_mm for score in ours], hd95, rtol=1e-5)
    np.testing.assert_allclose([score.asd_mm for score in ours], asd, rtol=1e-5)
    np.testing.assert_allclose([score.surface_dice for score in ours], surface_dice, rtol=1e-6)


def one_hot(labels: Labels) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 6).movedim(-1, 0)[None]
