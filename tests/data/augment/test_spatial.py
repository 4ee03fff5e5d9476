import math

import pytest
import torch
from pydantic import ValidationError

from osteon.core.geometry import Vector3
from osteon.data.augment.spatial import AffineSpec, ElasticSpec, draw_affine, warp

OFF_AFFINE, OFF_ELASTIC = AffineSpec(probability=0), ElasticSpec(probability=0)
Shape = tuple[int, int, int]


def places(shape: Shape, spacing_mm: Vector3) -> torch.Tensor:
    """Millimetres (3, Z, Y, X) of every voxel from the middle."""
    axes = [(torch.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def sphere(shape: Shape, spacing_mm: Vector3, radius_mm: float, center_mm: Vector3 = (0, 0, 0)) -> torch.Tensor:
    """Labels (1, Z, Y, X) of a ball."""
    offset = places(shape, spacing_mm) - torch.tensor(center_mm)[:, None, None, None]
    inside: torch.Tensor = (offset**2).sum(dim=0) < radius_mm**2
    return inside.to(torch.uint8)[None]


def warped(image: torch.Tensor, labels: torch.Tensor, spacing_mm: Vector3, seed: int = 0, **specs: object) -> None:
    """Warp in place, with the specs given; the other one is off."""
    affine, elastic = specs.get("affine", OFF_AFFINE), specs.get("elastic", OFF_ELASTIC)
    assert isinstance(affine, AffineSpec)
    assert isinstance(elastic, ElasticSpec)
    warp([image], [labels], affine, elastic, (spacing_mm,) * len(labels), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (3.0, 1.0, 1.2)])
def test_image_and_labels_move_together(spacing_mm: Vector3, seed: int) -> None:
    shape = (20, 40, 36)
    labels = sphere(shape, spacing_mm, 11, (3, -4, 5))
    image = labels[:, None].float()
    warped(
        image,
        labels,
        spacing_mm,
        seed,
        affine=AffineSpec(probability=1, rotation_deg=30, translation_mm=4, shear=0.1),
        elastic=ElasticSpec(probability=1, displacement_mm=10),
    )
    bright, labelled = image[0, 0] > 0.5, labels[0] > 0
    overlap = 2 * (bright & labelled).sum() / (bright.sum() + labelled.sum())
    assert labelled.sum() > 100
    assert overlap > 0.96


@pytest.mark.parametrize("seed", range(3))
def test_rotation_is_rigid_in_millimetres(seed: int) -> None:
    shape, spacing_mm = (16, 48, 32), (3.0, 1.0, 1.5)
    labels = sphere(shape, spacing_mm, 15)
    before = labels.clone()
    warped(
        labels[:, None].float(),
        labels,
        spacing_mm,
        seed,
        affine=AffineSpec(probability=1, rotation_deg=90, scale=(1, 1)),
    )
    assert (before & labels).sum() / (before | labels).sum() > 0.9


def test_rotations_are_orthonormal_and_reach_their_limit_only() -> None:
    spec = AffineSpec(probability=1, rotation_deg=20, scale=(1, 1))
    rows = torch.arange(500)
    matrix, shift = draw_affine(spec, 500, rows, torch.Generator().manual_seed(0))
    torch.testing.assert_close(matrix @ matrix.transpose(1, 2), torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)
    assert not shift.any()
    angle = torch.rad2deg(torch.acos(((matrix.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)))
    assert 20 < angle.max() < 20 * math.sqrt(3) + 1  # three angles of up to 20° about axes at right angles
