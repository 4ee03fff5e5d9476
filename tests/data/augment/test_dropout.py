"""Lost voxels: how many, how large, the same in every view."""

import pytest
import torch
from pydantic import ValidationError

from osteon.data.augment.dropout import DropoutSpec, drop


def lost(spec: DropoutSpec, shape: tuple[int, ...] = (2, 1, 40, 40, 40), spacing: float = 1.0) -> torch.Tensor:
    """Where a patch of values from 1 on lost them."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 1
    before = image.clone()
    drop([image], spec, ((spacing,) * 3,) * shape[0], torch.Generator().manual_seed(2))
    found = image != before
    lowest = before.amin(dim=(1, 2, 3, 4), keepdim=True).expand_as(before)
    assert torch.equal(image[found], lowest[found])
    return found


def test_the_share_is_lost_voxel_by_voxel_without_order() -> None:
    found = lost(DropoutSpec(probability=1, share=(0.1, 0.1), hole_mm=(1.0, 1.0))).float()
    assert found.mean().item() == pytest.approx(0.1, abs=0.01)
    assert not torch.equal(found[0], found[1])
    for axis in (2, 3, 4):
        neighbours = (found.narrow(axis, 0, 39) * found.narrow(axis, 1, 39)).mean().item()
        assert neighbours == pytest.approx(0.01, abs=0.004)


def test_holes_are_cubes_of_that_many_millimetres() -> None:
    found = lost(DropoutSpec(probability=1, share=(0.3, 0.3), hole_mm=(10.0, 10.0)), spacing=2.0)
    cells = found[:, 0].reshape(2, 8, 5, 8, 5, 8, 5).float().mean(dim=(2, 4, 6))
    assert set(cells.flatten().tolist()) == {0.0, 1.0}
    assert cells.mean().item() == pytest.approx(0.3, abs=0.06)


def test_holes_are_at_the_same_places_in_a_context() -> None:
    views = [torch.rand(1, 1, 32, 32, 32) + 1 for _ in range(2)]
    before = [view.clone() for view in views]
    spec = DropoutSpec(probability=1, share=(0.4, 0.4), hole_mm=(8.0, 8.0))
    drop(views, spec, ((1.0, 1.0, 1.0),), torch.Generator().manual_seed(0))
    near, wide = (view != old for view, old in zip(views, before, strict=True))
    middle = wide[..., 8:24, 8:24, 8:24]
    for axis in (2, 3, 4):
        middle = middle.repeat_interleave(2, dim=axis)
    assert near.any()
    assert (near == middle).float().mean() > 0.999  # but for the lowest voxels, which stay as they are


def test_shares_are_shares() -> None:
    with pytest.raises(ValidationError, match="must lie between 0 and 1"):
        DropoutSpec(share=(0.5, 1.5))
    with pytest.raises(ValidationError, match="must be above 0"):
        DropoutSpec(hole_mm=(0.0, 1.0))
