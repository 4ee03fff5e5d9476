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


def test_turning_about_z_alone_keeps_every_slice_in_its_plane() -> None:
    spec = AffineSpec(probability=1, rotation_deg=45, scale=(1, 1), axes=("z",))
    matrix, _ = draw_affine(spec, 50, torch.arange(50), torch.Generator().manual_seed(0))
    assert torch.equal(matrix[:, 0], torch.tensor([1.0, 0.0, 0.0]).expand(50, 3))
    assert torch.equal(matrix[:, :, 0], torch.tensor([1.0, 0.0, 0.0]).expand(50, 3))
    assert matrix[:, 1, 2].abs().max() > 0.5


def test_scale_magnifies_the_content() -> None:
    labels = sphere((40, 40, 40), (1, 1, 1), 8)
    volume = labels.sum().item()
    warped(
        labels[:, None].float(), labels, (1, 1, 1), affine=AffineSpec(probability=1, rotation_deg=0, scale=(1.5, 1.5))
    )
    assert labels.sum().item() == pytest.approx(volume * 1.5**3, rel=0.05)


def test_translation_is_in_millimetres() -> None:
    spacing_mm = (3.0, 1.0, 2.0)
    ramp = places((12, 30, 20), spacing_mm)
    images = ramp[:, None].clone()
    labels = torch.zeros(3, *ramp.shape[1:], dtype=torch.uint8)
    spec = AffineSpec(probability=1, rotation_deg=0, scale=(1, 1), translation_mm=4)
    generator = torch.Generator().manual_seed(0)
    warp([images], [labels], spec, OFF_ELASTIC, (spacing_mm,) * 3, generator)
    _, shift = draw_affine(spec, 3, torch.arange(3), _after_rows(3, seed=0))
    for axis in range(3):
        inside = (images[axis, 0] - ramp[axis])[4:8, 10:20, 8:12]
        torch.testing.assert_close(inside, shift[axis, axis].expand_as(inside), atol=1e-3, rtol=0)
    assert 0 < shift.abs().max() <= 4


def _after_rows(num_samples: int, seed: int) -> torch.Generator:
    """A generator from which `warp` has drawn its rows."""
    generator = torch.Generator().manual_seed(seed)
    for spec in (AffineSpec(probability=1), OFF_ELASTIC):
        spec.draw_rows(num_samples, generator)
    return generator


def test_elastic_displacements_keep_to_their_limit_and_never_fold() -> None:
    spacing_mm = (2.0, 1.0, 1.0)
    ramp = places((24, 48, 48), spacing_mm)
    for axis in range(3):
        image = ramp[axis][None, None].clone()
        labels = torch.zeros(1, *ramp.shape[1:], dtype=torch.uint8)
        warped(
            image,
            labels,
            spacing_mm,
            seed=1,
            elastic=ElasticSpec(probability=1, node_distance_mm=15, displacement_mm=6),
        )
        moved = (image[0, 0] - ramp[axis])[4:-4, 7:-7, 7:-7]
        assert 2 < moved.abs().max() <= 6
        assert (image[0, 0][4:-4, 7:-7, 7:-7].diff(dim=axis) > 0).all()


def test_displacements_that_fold_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"displacement_mm 9.0 would fold space: at most 8 "):
        ElasticSpec(node_distance_mm=20, displacement_mm=9)


def test_contexts_move_with_the_target() -> None:
    """A smooth body, seen in three fields of view and warped, still is one body: each view agrees with the next."""
    shape, spacing_mm = (32, 32, 32), (1.0, 1.5, 1.5)
    views = [_smooth(places(shape, spacing_mm) * 2**k)[None, None] for k in range(3)]
    still = [view.clone() for view in views]
    labels = torch.zeros(1, *shape, dtype=torch.uint8)
    affine = AffineSpec(probability=1, rotation_deg=25, translation_mm=5)
    elastic = ElasticSpec(probability=1, node_distance_mm=15, displacement_mm=6)
    warp(views, [labels], affine, elastic, (spacing_mm,), torch.Generator().manual_seed(0))
    for near, far, unmoved in zip(views, views[1:], still[1:], strict=False):
        middle = far[..., 12:20, 12:20, 12:20]
        same_place = torch.nn.functional.avg_pool3d(near, 2)[..., 4:12, 4:12, 4:12]
        change = (middle - unmoved[..., 12:20, 12:20, 12:20]).abs().mean()
        assert (middle - same_place).abs().mean() < 0.05 * change


def _smooth(places_mm: torch.Tensor) -> torch.Tensor:
    z, y, x = places_mm
    return torch.sin(z / 17 + 0.3) + torch.sin(y / 23 + 1) + torch.cos(x / 19 + y / 31)


def test_other_samples_stay_bit_for_bit() -> None:
    images, labels = torch.randn(32, 1, 8, 8, 8), torch.randint(5, (32, 8, 8, 8))
    before = images.clone(), labels.clone()
    spec = AffineSpec(probability=0.5)
    warped(images, labels, (1, 1, 1), seed=3, affine=spec)
    drawn = spec.draw_rows(32, torch.Generator().manual_seed(3))
    others = torch.ones(32, dtype=torch.bool)
    others[drawn] = False
    assert 0 < len(drawn) < 32
    assert torch.equal(images[others], before[0][others])
    assert torch.equal(labels[others], before[1][others])
    assert (images[drawn] != before[0][drawn]).flatten(1).any(dim=1).all()


def test_labels_of_contexts_move_with_their_images() -> None:
    """A ball's label, seen in two fields of view and warped, stays where the ball's image is bright."""
    shape, spacing_mm = (24, 24, 24), (1.0, 1.5, 1.5)
    balls = [(places(shape, spacing_mm) * 2**k - 2).square().sum(0).sqrt() < 9 for k in range(2)]
    views, labels = [ball[None, None].float() for ball in balls], [ball[None].to(torch.uint8) for ball in balls]
    before = [each.clone() for each in labels]
    affine = AffineSpec(probability=1, rotation_deg=30, translation_mm=6)
    warp(views, labels, affine, OFF_ELASTIC, (spacing_mm,), torch.Generator().manual_seed(0))
    for view, found, unmoved in zip(views, labels, before, strict=True):
        assert ((view[:, 0] > 0.5) == (found > 0)).float().mean() > 0.99
        assert (found != unmoved).any()
