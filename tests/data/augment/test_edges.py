import pytest
import torch
from pydantic import ValidationError

from osteon.data.augment.edges import EdgesSpec, add_edges


def mixed(image: torch.Tensor, strength: float) -> torch.Tensor:
    spec = EdgesSpec(probability=1, strength=(strength, strength))
    add_edges([image], spec, torch.Generator().manual_seed(0))
    return image


def test_at_full_strength_only_edges_are_left_on_black() -> None:
    image = torch.tensor([-2.0, -2.0, -2.0, 3.0, 3.0, 3.0]).expand(1, 1, 4, 5, 6).clone()
    row = torch.tensor([-2.0, -2.0, 3.0, -2.0, -2.0, -2.0])  # +5 on the dark side; -5 is below the lowest value
    assert torch.equal(mixed(image, 1.0), row.expand(1, 1, 4, 5, 6))


def test_a_mixture_adds_the_second_differences_of_all_axes() -> None:
    image = torch.zeros(1, 1, 3, 3, 3)
    image[0, 0, 0, 0, 0], image[0, 0, 2, 2, 2] = 10.0, -10.0  # so wide a range that nothing is cut off
    image[0, 0, 1, 1, 1] = 4.0
    after = mixed(image, 0.25)
    assert after[0, 0, 1, 1, 1].item() == pytest.approx(0.75 * 4 + 0.25 * (-10 - 6 * 4))
    assert after[0, 0, 1, 1, 0].item() == pytest.approx(0.25 * (-10 + 4))
    assert after[0, 0, 0, 2, 0].item() == pytest.approx(0.25 * -10)


def test_a_single_slice_has_edges_in_its_plane_alone() -> None:
    image = torch.rand(1, 1, 1, 7, 7)
    volume = image.repeat(1, 1, 3, 1, 1)
    torch.testing.assert_close(mixed(image, 0.5), mixed(volume, 0.5)[:, :, 1:2])


def test_strength_is_a_share() -> None:
    with pytest.raises(ValidationError, match="must lie between 0 and 1"):
        EdgesSpec(strength=(0.5, 1.5))
