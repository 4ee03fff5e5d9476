import pytest
import torch
from pydantic import ValidationError

from osteon.data.augment.tone import (
    BrightnessSpec,
    ContrastSpec,
    EqualiseSpec,
    GammaSpec,
    InvertSpec,
    bend_gamma,
    equalise,
    invert,
    shift_brightness,
    stretch_contrast,
)


@pytest.fixture
def views() -> list[torch.Tensor]:
    return list(torch.randn(2, 3, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1)))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_brightness_adds_one_value_to_all_views(views: list[torch.Tensor]) -> None:
    before = [view.clone() for view in views]
    shift_brightness(views, BrightnessSpec(probability=1, shift=(0.1, 0.4)), generator())
    shifts = torch.stack([(after - view).flatten(1) for after, view in zip(views, before, strict=True)])
    assert (shifts.amax(dim=(0, 2)) - shifts.amin(dim=(0, 2)) < 1e-5).all()
    assert ((shifts[0, :, 0] > 0.1 - 1e-5) & (shifts[0, :, 0] < 0.4 + 1e-5)).all()
    assert shifts[0, :, 0].diff().abs().min() > 1e-3


def test_contrast_turns_about_the_targets_mean(views: list[torch.Tensor]) -> None:
    before = [view.clone() for view in views]
    stretch_contrast(views, ContrastSpec(probability=1, factor=(1.5, 1.5)), generator())
    mean = before[0].mean(dim=(1, 2, 3, 4), keepdim=True)
    for after, view in zip(views, before, strict=True):
        torch.testing.assert_close(after, mean + 1.5 * (view - mean))


def test_gamma_keeps_range_and_order_and_bends_between(views: list[torch.Tensor]) -> None:
    before = [view.clone() for view in views]
    bend_gamma(views, GammaSpec(probability=1, exponent=(2.0, 2.0)), generator())
    both, bent = torch.stack(before, 1).flatten(1), torch.stack(views, 1).flatten(1)
    low, high = both.amin(1, keepdim=True), both.amax(1, keepdim=True)
    torch.testing.assert_close(bent, low + (high - low) * ((both - low) / (high - low)) ** 2)


def test_gamma_of_a_flat_image_is_that_image() -> None:
    image = torch.full((1, 1, 4, 4, 4), -2.0)
    bend_gamma([image], GammaSpec(probability=1), generator())
    assert (image == -2).all()


@pytest.mark.parametrize("wrong", [(0.0, 1.0), (-1.0, 1.0)])
def test_factors_are_positive(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="must be above 0"):
        ContrastSpec(factor=wrong)
    with pytest.raises(ValidationError, match="must be above 0"):
        GammaSpec(exponent=wrong)


def test_negative_keeps_the_range_of_all_views() -> None:
    views = [torch.tensor([1.0, 2.0, 4.0]).reshape(1, 1, 1, 1, 3), torch.tensor([0.0, 3.0, 6.0]).reshape(1, 1, 1, 1, 3)]
    invert(views, InvertSpec(probability=1), torch.Generator().manual_seed(0))
    assert views[0].flatten().tolist() == [5.0, 4.0, 2.0]
    assert views[1].flatten().tolist() == [6.0, 3.0, 0.0]


def test_equalising_gives_a_value_the_share_of_voxels_that_are_not_above_it() -> None:
    image = torch.tensor([-3.0, -3.0, -3.0, -3.0, -2.0, -2.0, 2.1, 2.1]).reshape(1, 1, 1, 2, 4)
    equalise([image], EqualiseSpec(probability=1), generator())
    half = -3 + 5.1 * (6 - 4) / (8 - 4)
    torch.testing.assert_close(image.flatten(), torch.tensor([-3.0] * 4 + [half] * 2 + [2.1] * 2))


def test_equalised_values_are_spread_evenly_and_keep_their_order_in_all_views() -> None:
    views = list(torch.rand(2, 3, 1, 16, 16, 16, generator=generator()) ** 1.5)
    before = torch.stack(views, 1).flatten(1)
    equalise(views, EqualiseSpec(probability=1), generator())
    after = torch.stack(views, 1).flatten(1)
    for old, new in zip(before, after, strict=True):
        assert (new[old.argsort()].diff() >= 0).all()
        share_below = torch.stack([(new < level).float().mean() for level in (0.25, 0.5, 0.75)])
        torch.testing.assert_close(share_below, torch.tensor([0.25, 0.5, 0.75]), atol=0.02, rtol=0)


def test_a_flat_image_has_nothing_to_equalise() -> None:
    image = torch.full((2, 1, 4, 4, 4), -2.0)
    equalise([image], EqualiseSpec(probability=1), generator())
    assert (image == -2).all()
