"""From finished planes of sums to labels on the image's own grid: straight on, or by interpolation between grids.

Legend: C averaged channels, N points, Z Y X voxels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from osteon.core.geometry import Grid, Index3
from osteon.data.preprocess import locate
from osteon.inference.ring import Ring, Scoring

Block = tuple[int, npt.NDArray[np.uint8] | npt.NDArray[np.uint16]]
POINTS = 2**15  # interpolated at once


class Labeller(Protocol):
    """Turns finished planes of the model's grid into planes of the image."""

    def needed(self, z_range: tuple[int, int]) -> tuple[int, int]:
        """The planes of the model's grid that the image planes ``z_range`` depend on: start, stop."""
        ...

    def finished(self, ring: Ring, start: int, stop: int) -> Iterator[Block]:
        """Labels of the image planes that the model's planes up to ``stop`` complete; those before are still known."""
        ...


@dataclass(frozen=True)
class SameGrid:
    """The model's grid is the image's own.

    Attributes:
        shape: voxels of the image.
        scoring: from sums to classes.
    """

    shape: Index3
    scoring: Scoring

    def needed(self, z_range: tuple[int, int]) -> tuple[int, int]:
        """The same planes."""
        return z_range

    def finished(self, ring: Ring, start: int, stop: int) -> Iterator[Block]:
        """The classes of the planes."""
        planes = [_whole_plane(ring.classes(plane, self.scoring), ring, self.shape) for plane in range(start, stop)]
        yield start, _as_numpy(torch.stack(planes))


class OtherGrid:
    """The model's grid has another spacing: averages are interpolated linearly, then classified.

    Interpolation makes a convex combination of the eight model voxels around a point. Where all eight have the same
    class, so has the point: its score is largest in each of them. Only the points near a boundary are interpolated;
    the result is that of interpolating all. So it is of several voters where each of them names that class in all
    eight: then each names it at the point too. Where they differ it need not be, as neither votes nor probabilities
    average as scores do: there the class that the eight voxels have elected is the point's too, without an election of
    its own.

    Args:
        image: the grid of the labels.
        model: the grid of the sums.
        scoring: from sums to classes.
        z_range: image planes wanted.
    """

    def __init__(self, image: Grid, model: Grid, scoring: Scoring, z_range: tuple[int, int]) -> None:
        self._scoring = scoring
        self._model_shape = model.shape
        where = locate(model, image.spacing_mm, (0, 0, 0), image.shape)
        self._axes = [axis + start for axis, start in zip(where.positions, where.start, strict=True)]
        self._next, self._stop = z_range
        self._last: _Plane | None = None

    def needed(self, z_range: tuple[int, int]) -> tuple[int, int]:
        """The planes around the first and the last image plane, and those between."""
        first, last = self._axes[0][z_range[0]], self._axes[0][z_range[1] - 1]
        return int(first.floor()), int(last.ceil()) + 1

    def finished(self, ring: Ring, start: int, stop: int) -> Iterator[Block]:
        """The image planes that lie between finished planes; the last finished one is kept for the planes to come."""
        planes = {plane: self._plane(ring, plane) for plane in range(start, stop)}
        if self._last is not None:
            planes[start - 1] = self._last
        first, labels = self._next, []
        while self._next < self._stop and int(self._axes[0][self._next].ceil()) < stop:
            labels.append(self._between(planes, float(self._axes[0][self._next]), ring))
            self._next += 1
        last = planes[stop - 1]
        self._last = _Plane(last.sums.clone(), last.classes)
        if labels:
            yield first, _as_numpy(torch.stack(labels))

    def _plane(self, ring: Ring, plane: int) -> _Plane:
        classes = _whole_plane(ring.classes(plane, self._scoring), ring, self._model_shape)
        return _Plane(ring.plane(plane), classes)

    def _between(self, planes: dict[int, _Plane], position: float, ring: Ring) -> Tensor:
        """Labels (Y, X) of the image plane at ``position`` on the model's z axis."""
        low = int(position)
        pair = (planes[low], planes[low + 1] if position > low else planes[low])
        corners = torch.stack([pair[0].classes, pair[1].classes])
        smallest, largest = -_highest(-corners.short()), _highest(corners.short())
        rows, columns = (axis.long().to(corners.device) for axis in self._axes[1:])
        labels = smallest[rows][:, columns]
        y, x = torch.nonzero(labels != largest[rows][:, columns], as_tuple=True)
        for first in range(0, len(y), POINTS):
            some = (y[first : first + POINTS], x[first : first + POINTS])
            labels[some] = self._interpolated(pair, position - low, *some, ring).short()
        return labels.to(self._scoring.dtype)

    def _interpolated(self, pair: tuple[_Plane, _Plane], upper: float, y: Tensor, x: Tensor, ring: Ring) -> Tensor:
        """Classes (N,) of image voxels (y, x) between two planes, ``upper`` being the share of the second one."""
        rows, columns = (axis.to(y.device)[index] for axis, index in zip(self._axes[1:], (y, x), strict=True))
        total = torch.zeros((pair[0].sums.shape[0], len(y)), device=y.device)
        for dz, dy, dx in itertools.product((0, 1), repeat=3):
            share = (
                (upper if dz else 1 - upper)
                * (rows.frac() if dy else 1 - rows.frac())
                * (columns.frac() if dx else 1 - columns.frac())
            )
            _add_averages(total, pair[dz].sums, rows.long() + dy, columns.long() + dx, share.float(), ring)
        return self._scoring.classes(total)


@dataclass(frozen=True)
class _Plane:
    sums: Tensor  # (C + 1, Y, X) over the ring's frame
    classes: Tensor  # (Y, X) of the model's grid


def _add_averages(total_CN: Tensor, sums: Tensor, y: Tensor, x: Tensor, share: Tensor, ring: Ring) -> None:
    """Add ``share`` of the averages at (y, x); points that no window covers add nothing, not even to the weight."""
    y0, y1, x0, x1 = ring.frame
    inside = (y >= y0) & (y < y1) & (x >= x0) & (x < x1)
    at = (y.clamp(y0, y1 - 1) - y0) * (x1 - x0) + x.clamp(x0, x1 - 1) - x0
    values = sums.flatten(1).index_select(1, at)
    weight = values[-1]
    factor = torch.where(inside & (weight > 0), share / weight, 0.0)
    total_CN.addcmul_(values, factor)


def _highest(corners_2YX: Tensor) -> Tensor:
    """The largest of the eight corners of the cell that begins at each voxel; edge voxels have themselves beyond."""
    pair = corners_2YX.amax(0)
    padded = functional.pad(pair[None].float(), (0, 1, 0, 1), mode="replicate")
    return functional.max_pool2d(padded, kernel_size=2, stride=1)[0].short()


def _whole_plane(classes: Tensor, ring: Ring, shape: Index3) -> Tensor:
    """A plane over the frame as a plane of the volume: cut where the frame leaves it, background where it ends."""
    y0, y1, x0, x1 = ring.frame
    whole = torch.zeros(shape[1:], dtype=classes.dtype, device=classes.device)
    top, bottom, left, right = max(y0, 0), min(y1, shape[1]), max(x0, 0), min(x1, shape[2])
    whole[top:bottom, left:right] = classes[top - y0 : bottom - y0, left - x0 : right - x0]
    return whole


def _as_numpy(labels: Tensor) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    array = labels.cpu().numpy()
    return array if array.dtype == np.uint8 else array.astype(np.uint16)
