"""Slices seen aslant: straight lines stay straight, the middle stays, views and labels move together."""

import pytest
import torch

from osteon.data.augment.perspective import PerspectiveSpec, tilt


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramps(shape: tuple[int, int, int], spacing_mm: float) -> torch.Tensor:
    """Three samples: the millimetres along z, y and x from the middle."""
    axes = [(torch.arange(side) - (side - 1) / 2) * spacing_mm for side in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[:, None]


def tilted(shape: tuple[int, int, int], seed: int, strength: float = 0.3) -> torch.Tensor:
    """Where every voxel of one sample takes its value from, mm (3, Z, Y, X)."""
    found = []
    for axis in range(3):
        image = ramps(shape, 1.0)[axis : axis + 1]
        tilt([image], [], PerspectiveSpec(probability=1, strength=strength), ((1.0, 1.0, 1.0),), generator(seed))
        found.append(image[0, 0])
    return torch.stack(found)


@pytest.mark.parametrize("seed", range(3))
def test_map_is_projective_within_the_slice(seed: int) -> None:
    shape = (1, 41, 61)
    z, y, x = tilted(shape, seed)[:, 0]
    assert not z.any()
    assert abs(float(y[20, 30])) < 1e-4
    assert abs(float(x[20, 30])) < 1e-4
    own_y, own_x = ramps(shape, 1.0)[1:, 0, 0]
    inside = (y.abs() < 19.9) & (x.abs() < 29.9) & (own_y.abs() > 1) & (own_x.abs() > 1)  # off the repeated edge
    slant = own_y / y - 1  # linear in y and x, and the same for both axes, if the map is a perspective
    torch.testing.assert_close(slant[inside], (own_x / x - 1)[inside], atol=1e-3, rtol=1e-2)
    columns = torch.stack([own_y[inside], own_x[inside]], dim=1)
    slopes = torch.linalg.lstsq(columns, slant[inside, None]).solution
    torch.testing.assert_close((columns @ slopes)[:, 0], slant[inside], atol=1e-3, rtol=1e-2)
    assert 0 < float(slopes.abs().max()) <= 0.3 / 20


def test_views_and_labels_are_tilted_alike() -> None:
    views = [ramps((20, 20, 20), 1.0), ramps((20, 20, 20), 2.0)]
    labels = [(view[:, 0] > 0).to(torch.uint8) for view in views]
    before = views[0].clone()
    tilt(views, labels, PerspectiveSpec(probability=1, strength=0.2), ((1.0, 1.0, 1.0),) * 3, generator())
    wide = torch.nn.functional.interpolate(views[1], scale_factor=2, mode="trilinear")[..., 10:30, 10:30, 10:30]
    inside = wide.abs() < 9  # off the repeated edge of the target
    torch.testing.assert_close(views[0][inside], wide[inside], atol=0.05, rtol=0.05)
    for view, each in zip(views, labels, strict=True):
        clear = view[:, 0].abs() > 2  # labels are the nearest voxel's
        assert torch.equal(each[clear] > 0, view[:, 0][clear] > 0)
    torch.testing.assert_close(views[0][0], before[0])  # z stays
    assert not torch.equal(views[0][1:], before[1:])
