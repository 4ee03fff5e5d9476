"""The ring in which windows are averaged: as deep as one window, whatever the length of the scan.

Legend: C averaged channels, K classes, R voters, N voxels. Channel C (the last) holds the sum of weights, so that a
matrix (K, C + 1) takes a weighted sum to class scores times that sum: W·(Σwf/Σw) + b = (W·Σwf + b·Σw) / Σw. Dividing
by a positive number changes no argmax and is done for probabilities alone; a voxel that no window covers has zeros
everywhere and so class 0, background.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from osteon.core.errors import OsteonError
from osteon.core.geometry import Index3
from osteon.inference.schedule import Frame
from osteon.inference.slab import ring_parts
from osteon.models.network import Fusion

# Voxels times voters scored at once. On a CPU 126 classes in float32 are then 4 MB, about the size of a core's cache.
CPU_TILE = 2**13
CUDA_TILE = 2**20


class NotFinite(OsteonError):
    """A network whose output is not a number."""


@dataclass(frozen=True)
class Scoring:
    """From summed channels to classes.

    Attributes:
        matrix: (R * K, C + 1), or None if the channels are class scores themselves.
        num_classes: K.
        num_voters: R; the scores of one voter follow those of the one before.
        fusion: how several voters elect a class.
    """

    matrix: Tensor | None
    num_classes: int
    num_voters: int = 1
    fusion: Fusion = "vote"

    @property
    def dtype(self) -> torch.dtype:
        """The smallest type that torch computes in and that holds a class number and `num_classes` itself."""
        return torch.uint8 if self.num_classes <= 255 else torch.int16

    def classes(self, sums_CN: Tensor) -> Tensor:
        """The class of every column (N,), of `dtype`; ties go to the smaller class.

        Several voters elect it. By vote: the class that most of them score highest; where several classes lead with
        as many votes each, the one of these whose scores have the largest sum over all voters. By probability: the
        class of the largest mean over the voters' softmax.

        Raises:
            NotFinite: ``output-not-finite``.
        """
        scores = sums_CN[:-1] if self.matrix is None else self.matrix @ sums_CN
        if self.num_voters == 1:
            return self._first_of_largest(scores)
        if self.fusion == "probability":
            weight = sums_CN[-1].clamp(min=torch.finfo(torch.float32).tiny)  # where no window was, all stay alike
            logits_RKN = scores.reshape(self.num_voters, self.num_classes, -1) / weight
            return self._first_of_largest(logits_RKN.softmax(1).sum(0))
        voters = scores.chunk(self.num_voters)
        kinds = torch.arange(self.num_classes, dtype=self.dtype, device=scores.device)[:, None]
        votes = torch.stack([self._first_of_largest(voter) == kinds for voter in voters]).sum(0)
        return self._first_of_largest(torch.stack(voters).sum(0).masked_fill(votes < votes.amax(0), -torch.inf))

    def _first_of_largest(self, scores: Tensor) -> Tensor:
        # torch.argmax over the outer axis is not vectorised on the CPU; these four passes are, and 8 times faster.
        rank = torch.arange(self.num_classes, 0, -1, dtype=self.dtype, device=scores.device)[:, None]
        hits = (scores == scores.amax(0)).to(self.dtype).mul_(rank).amax(0)
        if not bool(hits.all()):
            raise NotFinite(
                "output-not-finite",
                "the network gave NaN",
                remedy="compute in float32, or look at the training run: its weights may have diverged",
            )
        return self.num_classes - hits


class Ring:
    """Weighted sums of windows over the planes that are not finished, float32 (C + 1, Z, Y, X).

    The channels of a voxel lie side by side in memory: so networks compute them on CPUs, and so the head reads them.

    Args:
        weights: of a window's voxels (Z, Y, X); their device is the ring's.
        num_channels: C.
        frame: the rectangle of every plane that windows may cover.
    """

    def __init__(self, weights: Tensor, num_channels: int, frame: Frame) -> None:
        self.frame = frame
        self._weights = weights
        y0, y1, x0, x1 = frame
        sums_ZYXC = torch.zeros((len(weights), y1 - y0, x1 - x0, num_channels + 1), device=weights.device)
        self._sums = sums_ZYXC.movedim(-1, 0)
        self._tile = CUDA_TILE if weights.is_cuda else CPU_TILE

    @property
    def depth(self) -> int:
        """Planes that fit in."""
        return self._sums.shape[1]

    def add(self, window: Index3, channels_CZYX: Tensor) -> None:
        """Add a window's output, of any floating type and memory layout, at its place."""
        depth, height, width = self._weights.shape
        y, x = window[1] - self.frame[0], window[2] - self.frame[2]
        where = self._sums[:, :, y : y + height, x : x + width]
        for first, count, offset in ring_parts(window[0], depth, depth):
            part, weights = where[:, first : first + count], self._weights[offset : offset + count]
            part[:-1].addcmul_(channels_CZYX[:, offset : offset + count].float(), weights)
            part[-1].add_(weights)

    def plane(self, plane: int) -> Tensor:
        """The sums of a plane over the frame (C + 1, Y, X); a view."""
        return self._sums[:, plane % self.depth]

    def classes(self, plane: int, scoring: Scoring) -> Tensor:
        """The classes of a finished plane over the frame (Y, X)."""
        sums = self.plane(plane)
        height, width = sums.shape[1:]
        classes = torch.zeros((height, width), dtype=scoring.dtype, device=sums.device)
        step = max(1, self._tile // max(1, width * scoring.num_voters))
        for top in range(0, height, step):
            tile = sums[:, top : top + step]
            if bool(tile[-1].any()):
                classes[top : top + step] = scoring.classes(tile.flatten(1)).reshape(-1, width)
        return classes

    def clear(self, start: int, stop: int) -> None:
        """Make room: the planes from ``start`` to ``stop`` (at most a ring's depth) are finished."""
        for first, count, _ in ring_parts(start, stop - start, self.depth):
            self._sums[:, first : first + count] = 0
