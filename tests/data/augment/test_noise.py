import pytest
import torch

from osteon.data.augment.noise import NoiseSpec, add_noise


def test_noise_is_as_strong_as_asked_and_weaker_in_wider_views() -> None:
    views = [torch.zeros(2, 1, 24, 24, 24) for _ in range(3)]
    add_noise(views, NoiseSpec(probability=1, std=(0.2, 0.2)), torch.Generator().manual_seed(0))
    for k, view in enumerate(views):
        assert view.std().item() == pytest.approx(0.2 / 8 ** (k / 2), rel=0.05)
        assert view.mean().item() == pytest.approx(0, abs=0.005)
    assert not torch.equal(views[0][0], views[0][1])


def test_strength_is_drawn_per_sample() -> None:
    image = torch.zeros(200, 1, 6, 6, 6)
    add_noise([image], NoiseSpec(probability=1, std=(0.1, 0.5)), torch.Generator().manual_seed(0))
    strengths = image.flatten(1).std(dim=1)
    assert strengths.min().item() == pytest.approx(0.1, rel=0.2)
    assert strengths.max().item() == pytest.approx(0.5, rel=0.2)
