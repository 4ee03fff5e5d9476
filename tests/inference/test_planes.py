import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from osteon.core.geometry import Grid, Index3, Vector3
from osteon.data.preprocess import locate, resample_linear
from osteon.inference.planes import OtherGrid, SameGrid
from osteon.inference.ring import Ring, Scoring
from osteon.inference.schedule import Frame
from osteon.models.network import Fusion

DEPTH = 6
CHANNELS, CLASSES = 3, 5


def smooth(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Channels that change slowly, so that most cells have one class and some have several."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, CHANNELS, *(max(2, size // 4) for size in shape), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0]


def filled(channels_CZYX: torch.Tensor, frame: Frame, planes: range) -> Ring:
    """A ring that holds the planes of ``channels_CZYX`` with a weight of 2 everywhere in the frame."""
    y0, y1, x0, x1 = frame
    ring = Ring(torch.full((DEPTH, y1 - y0, x1 - x0), 2.0), CHANNELS, frame)
    block = torch.zeros(CHANNELS, DEPTH, y1 - y0, x1 - x0)
    for plane in planes:
        block[:, plane - planes.start] = channels_CZYX[:, plane, y0:y1, x0:x1]
    ring.add((planes.start, y0, x0), block)
    return ring


def scoring() -> Scoring:
    return Scoring(torch.randn(CLASSES, CHANNELS + 1, generator=torch.Generator().manual_seed(9)), CLASSES)


def test_on_the_same_grid_classes_are_those_of_the_planes() -> None:
    channels = smooth((DEPTH, 9, 11), 0)
    ring = filled(channels, (0, 9, 0, 11), range(DEPTH))
    [(first, labels)] = SameGrid((DEPTH, 9, 11), scoring()).finished(ring, 2, 5)
    matrix = scoring().matrix
    assert matrix is not None
    scores = torch.einsum("kc,czyx->kzyx", matrix, torch.cat([channels, torch.ones(1, *channels.shape[1:])]))
    assert first == 2
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, scores.argmax(0)[2:5].numpy())


@pytest.mark.parametrize("spacing", [(0.6, 0.7, 1.0), (1.0, 1.0, 1.0), (1.7, 2.3, 0.9)])
@pytest.mark.parametrize("cuts", [[0, 6, 12], [0, 1, 6, 8, 12]])
def test_on_another_grid_labels_are_those_of_interpolating_everything(spacing: Vector3, cuts: list[int]) -> None:
    model = Grid((12, 10, 14))
    image = model.resampled(spacing)
    channels = smooth(model.shape, 1)
    labeller = OtherGrid(image, model, scoring(), (0, image.shape[0]))
    blocks = []
    for start, stop in itertools.pairwise(cuts):
        ring = filled(channels, (0, 10, 0, 14), range(start, stop))
        blocks += list(labeller.finished(ring, start, stop))
        ring.clear(start, stop)  # what is still needed must have been kept
    labels = np.concatenate([block for _, block in blocks])
    where = locate(model, spacing, (0, 0, 0), image.shape)
    dense = resample_linear(channels[(slice(None), *_slices(where.start, where.shape))], where.positions)
    matrix = scoring().matrix
    assert matrix is not None
    scores = torch.einsum("kc,czyx->kzyx", matrix, torch.cat([dense, torch.ones(1, *dense.shape[1:])]))
    assert [first for first, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks)])[:-1].tolist()
    top = scores.topk(2, dim=0).values
    wrong = torch.from_numpy(labels) != scores.argmax(0)
    assert labels.shape == image.shape
    assert len(np.unique(labels)) > 2
    assert not (wrong & (top[0] - top[1] > 1e-4)).any()


@pytest.mark.parametrize("fusion", ["vote", "probability"])
def test_several_voters_elect_between_voxels_of_other_classes(fusion: Fusion) -> None:
    model, spacing = Grid((DEPTH, 10, 14)), (0.65, 0.7, 0.85)
    image, generator = model.resampled(spacing), torch.Generator().manual_seed(1)
    channels = smooth(model.shape, 2) + 0.2 * torch.randn(CHANNELS, *model.shape, generator=generator)
    alike, own = (torch.randn(rows * CLASSES, CHANNELS + 1, generator=generator) for rows in (1, 3))
    matrix = 4 * (alike.repeat(3, 1) + own)
    matrix[:, -1] = 0  # no class is everywhere ahead of others
    several = Scoring(matrix, CLASSES, 3, fusion)
    ring = filled(channels, (0, 10, 0, 14), range(DEPTH))
    labeller = OtherGrid(image, model, several, (0, image.shape[0]))
    labels = torch.from_numpy(np.concatenate([block for _, block in labeller.finished(ring, 0, DEPTH)]))

    def with_one(channels_CZYX: torch.Tensor) -> torch.Tensor:
        return torch.cat([channels_CZYX, torch.ones(1, *channels_CZYX.shape[1:])])

    def elected(channels_CZYX: torch.Tensor) -> torch.Tensor:
        return several.classes(with_one(channels_CZYX).flatten(1)).reshape(channels_CZYX.shape[1:])

    where = locate(model, spacing, (0, 0, 0), image.shape)
    part = channels[(slice(None), *_slices(where.start, where.shape))]
    interpolated = elected(resample_linear(part, where.positions))
    voters = torch.einsum("kc,czyx->kzyx", matrix, with_one(part)).chunk(3)
    at_corners = corners(elected(part), where.positions)
    ballots = torch.stack([corners(voter.argmax(0), where.positions) for voter in voters], dim=1)
    one_class, unanimous = (at_corners == at_corners[0]).all(0), (ballots == ballots[0, 0]).all(0).all(0)
    expected = torch.where(one_class, at_corners[0], interpolated)
    inside = (slice(None), slice(1, -1), slice(1, -1))  # at the rim positions are whole
    assert (~one_class).float().mean() > 0.2
    assert torch.equal(labels[inside], expected[inside])
    assert (one_class & ~unanimous)[inside].any()
    assert unanimous.any()
    assert torch.equal(labels[unanimous], interpolated[unanimous])
    assert (labels != interpolated).float().mean() < 0.001


def test_voxels_that_elect_one_class_by_other_voters_give_it_to_the_points_between() -> None:
    sure = torch.tensor([2.0, 2.0, -99.0])  # logits of class 1 by three voters, class 0 having none
    channels = torch.zeros(6, 2, 1, 1)
    channels[1::2, :, 0, 0] = torch.stack([sure, sure.flip(0)], dim=1)  # at the middle: -48.5, 2, -48.5
    ring = Ring(torch.ones(2, 1, 1), 6, (0, 1, 0, 1))
    ring.add((0, 0, 0), channels)
    several, model = Scoring(None, 2, 3, "probability"), Grid((2, 1, 1))
    middle = torch.cat([channels.mean(1).flatten(), torch.ones(1)])[:, None]
    assert several.classes(middle).tolist() == [0]
    [(_, labels)] = OtherGrid(model.resampled((0.5, 1.0, 1.0)), model, several, (0, 4)).finished(ring, 0, 2)
    assert labels.flatten().tolist() == [1, 1, 1, 1]


def corners(values_ZYX: torch.Tensor, positions: Sequence[torch.Tensor]) -> torch.Tensor:
    """The eight values around every point (8, Z, Y, X)."""
    sides = [(axis.floor().long(), axis.ceil().long()) for axis in positions]
    return torch.stack([values_ZYX[z][:, y][:, :, x] for z, y, x in itertools.product(*sides)])


def test_voxels_that_no_window_covers_take_no_part() -> None:
    model, frame = Grid((DEPTH, 10, 12)), (3, 8, 2, 9)
    channels = torch.zeros(CHANNELS, *model.shape)
    channels[0] = 1.0
    only_class_two = Scoring(torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 0], [1.0, 0, 0, 0]]), 3)
    ring = filled(channels, frame, range(DEPTH))
    labeller = OtherGrid(model.resampled((0.5, 0.5, 0.5)), model, only_class_two, (0, 2 * DEPTH))
    labels = np.concatenate([block for _, block in labeller.finished(ring, 0, DEPTH)])
    assert set(np.unique(labels)) == {0, 2}
    # A voxel between a covered and an uncovered one takes the label of the covered one.
    assert (labels[:, 6:16, 4:18] == 2).all()
    assert not labels[:, :5].any()
    assert not labels[:, :, 19:].any()


def test_the_planes_around_a_range_are_needed() -> None:
    labeller = OtherGrid(Grid((20, 4, 4)), Grid((10, 2, 2), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5)), scoring(), (4, 8))
    assert labeller.needed((4, 8)) == (1, 5)
    assert labeller.needed((0, 20)) == (0, 10)


def _slices(start: Index3, shape: Index3) -> tuple[slice, ...]:
    return tuple(slice(first, first + count) for first, count in zip(start, shape, strict=True))
