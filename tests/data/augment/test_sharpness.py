import pytest
import torch
from pydantic import ValidationError

from osteon.core.geometry import Vector3
from osteon.data.augment.sharpness import (
    AverageBlurSpec,
    BlurSpec,
    LowResolutionSpec,
    SharpenSpec,
    average_blur,
    blur,
    lower_resolution,
    sharpen,
)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def point(side: int = 25) -> torch.Tensor:
    image = torch.zeros(1, 1, side, side, side)
    image[..., side // 2, side // 2, side // 2] = 1
    return image


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.8)])
def test_a_point_becomes_a_gaussian_of_that_many_millimetres(spacing_mm: Vector3) -> None:
    views = [point(), point()]
    blur(views, BlurSpec(probability=1, sigma_mm=(2.0, 2.0)), (spacing_mm,), generator())
    for k, view in enumerate(views):
        assert view.sum().item() == pytest.approx(1, abs=1e-3)
        for axis, mm in enumerate(spacing_mm):
            profile = view[0, 0].sum(dim=tuple(d for d in range(3) if d != axis))
            variance = (profile * ((torch.arange(25) - 12) * mm * 2**k) ** 2).sum().item()
            assert variance == pytest.approx(4.0, rel=0.15)  # voxels sample the Gaussian


def test_blur_keeps_flat_images_flat_up_to_the_edge() -> None:
    image = torch.full((2, 1, 9, 9, 9), 3.5)
    blur([image], BlurSpec(probability=1, sigma_mm=(1.0, 3.0)), ((1.0, 1.0, 1.0),) * 2, generator())
    torch.testing.assert_close(image, torch.full_like(image, 3.5))


def test_low_resolution_is_the_mean_over_bins_joined_by_lines() -> None:
    image = torch.arange(8.0).pow(2).expand(1, 1, 8, 8, 8).clone()
    lower_resolution([image], LowResolutionSpec(probability=1, factor=(2.0, 2.0)), generator())
    bins = torch.tensor([0.5, 6.5, 20.5, 42.5])
    line = torch.nn.functional.interpolate(bins[None, None], size=8, mode="linear", align_corners=False)[0, 0]
    torch.testing.assert_close(image, line.expand(1, 1, 8, 8, 8))


def test_low_resolution_leaves_views_that_are_coarser_already() -> None:
    views = [torch.randn(2, 1, 12, 12, 12) for _ in range(2)]
    before = [view.clone() for view in views]
    lower_resolution(views, LowResolutionSpec(probability=1, factor=(1.5, 2.0)), generator())
    assert (views[0] != before[0]).any()
    assert torch.equal(views[1], before[1])


def test_resolution_cannot_be_raised() -> None:
    with pytest.raises(ValidationError, match=r"must not be below 1, as 0.5 is"):
        LowResolutionSpec(factor=(0.5, 2.0))


def test_sharpening_adds_what_blurring_takes_away() -> None:
    image = torch.randn(1, 1, 9, 10, 11, generator=generator())
    blurred, sharp = image.clone(), image.clone()
    blur([blurred], BlurSpec(probability=1, sigma_mm=(1.5, 1.5)), ((1.0, 2.0, 1.0),), generator())
    sharpen([sharp], SharpenSpec(probability=1, strength=(0.5, 0.5), sigma_mm=1.5), ((1.0, 2.0, 1.0),), generator())
    torch.testing.assert_close(sharp, image + (image - blurred) / 2)


def averaged(values: list[float], width_mm: float, spacing_mm: float = 1.0) -> list[float]:
    """A row of voxels after averaging."""
    image = torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, 1, -1)
    average_blur([image], AverageBlurSpec(probability=1, width_mm=(width_mm,) * 2), ((spacing_mm,) * 3,), generator())
    return [round(value, 5) for value in image.flatten().tolist()]


def test_averaging_is_the_mean_over_a_box_that_may_hold_parts_of_voxels() -> None:
    assert averaged([0, 0, 12, 0, 0, 0], 3.0) == [0, 4, 4, 4, 0, 0]
    assert averaged([0, 0, 12, 0, 0, 0], 2.0) == [0, 3, 6, 3, 0, 0]
    assert averaged([0, 0, 12, 0, 0, 0], 1.5, spacing_mm=0.5) == [0, 4, 4, 4, 0, 0]
    assert averaged([0, 0, 12, 0, 0, 0], 0.4) == [0, 0, 12, 0, 0, 0]


def test_averaging_counts_the_voxels_there_are_at_an_edge() -> None:
    assert averaged([12, 0, 0, 6], 3.0) == [6, 4, 2, 3]


def test_a_context_is_averaged_over_the_same_millimetres() -> None:
    views = [point(), point()]
    average_blur(views, AverageBlurSpec(probability=1, width_mm=(6.0, 6.0)), ((1.0, 1.0, 1.0),), generator())
    assert views[0].max().item() == pytest.approx(1 / 6**3)
    assert views[1].max().item() == pytest.approx(1 / 3**3)
