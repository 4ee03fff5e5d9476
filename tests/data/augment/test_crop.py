"""Sides cut off or added, and what is left stretched."""

import pytest
import torch
from pydantic import ValidationError

from osteon.data.augment.crop import CropSpec, crop


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramps(side: int, spacing_mm: float) -> torch.Tensor:
    """One sample whose three slots along B are the millimetres along z, y and x from the middle."""
    axis = (torch.arange(side) - (side - 1) / 2) * spacing_mm
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))[:, None]


def test_the_same_cut_on_all_sides_is_a_zoom_about_the_middle() -> None:
    image = ramps(20, 1.0)
    before = image.clone()
    crop([image], [], CropSpec(probability=1, share=(0.1, 0.1)), ((1.0, 1.0, 1.0),) * 3, generator())
    torch.testing.assert_close(image, 0.8 * before)


def test_padding_repeats_the_edge() -> None:
    image = ramps(20, 1.0)
    before = image.clone()
    crop([image], [], CropSpec(probability=1, share=(-0.25, -0.25)), ((1.0, 1.0, 1.0),) * 3, generator())
    torch.testing.assert_close(image, (1.5 * before).clamp(-9.5, 9.5))


@pytest.mark.parametrize("seed", range(3))
def test_views_and_labels_are_cut_alike(seed: int) -> None:
    views = [ramps(20, 1.0), ramps(20, 2.0)]
    labels = [(view[:, 0] > 0).to(torch.uint8) for view in views]
    crop(views, labels, CropSpec(probability=1, share=(0.05, 0.2)), ((1.0, 1.0, 1.0),) * 3, generator(seed))
    wide = torch.nn.functional.interpolate(views[1], scale_factor=2, mode="trilinear")[..., 10:30, 10:30, 10:30]
    torch.testing.assert_close(views[0], wide, atol=1e-3, rtol=1e-3)  # linear images stay linear: they agree in mm
    for view, each in zip(views, labels, strict=True):
        clear = view[:, 0].abs() > 2  # labels are the nearest voxel's
        assert torch.equal(each[clear] > 0, view[:, 0][clear] > 0)
    assert not torch.equal(views[0], ramps(20, 1.0))


def test_cutting_everything_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"must be below 0\.5"):
        CropSpec(share=(0.0, 0.5))
