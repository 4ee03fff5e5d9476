"""What a window contributes to the average: features or logits, of the window alone or of its mirror image too.

Legend: B batch, K classes (background counted), R voters, C channels that are averaged, N voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osteon.core.labels import LabelTable
from osteon.inference.backends import Backend, Head, Output, PendingOutput
from osteon.inference.ring import Scoring

Twins = npt.NDArray[np.int64]


def twin_classes(table: LabelTable) -> Twins:
    """For every class 0…n the class of the same bone on the other side of the body (itself, if it has no twin)."""
    class_of = table.class_of()
    return np.array([0, *(class_of[twin] for twin in table.mirrored().values())], dtype=np.int64)


@dataclass(frozen=True)
class Contribution:
    """How windows become channels that may be averaged, and averages become class scores.

    A mirror image shows every bone on the other side, so its class scores change places (``twins``). Features cannot
    change places; both sets are averaged side by side, and the head reads one through the other's rows.

    Attributes:
        backend: computes windows.
        output: what is asked of it: whichever has fewer channels.
        twins: the score of the class on the other side, by score, if windows are mirrored.
    """

    backend: Backend
    output: Output
    twins: Tensor | None

    @classmethod
    def smallest(cls, backend: Backend, twins: Twins | None) -> Contribution:
        """The one that averages the fewest channels."""
        if twins is None:
            return cls(backend, backend.head.cheapest, None)
        num_scores, num_features = backend.head.weight.shape
        output: Output = "logits" if num_scores <= 2 * num_features else "features"
        of_voters = [twins + first for first in range(0, num_scores, len(twins))]
        return cls(backend, output, torch.from_numpy(np.concatenate(of_voters)).to(backend.device))

    @property
    def num_channels(self) -> int:
        """C."""
        num_scores, num_features = self.backend.head.weight.shape
        if self.output == "logits":
            return num_scores
        return num_features * (1 if self.twins is None else 2)

    @property
    def depth(self) -> int:
        """How many batches may be under way."""
        return self.backend.depth if self.twins is None else max(1, self.backend.depth // 2)

    def scoring(self) -> Scoring:
        """From averaged channels to classes."""
        head = self.backend.head
        return Scoring(self._matrix(head), head.num_classes, head.num_voters, head.fusion)

    def _matrix(self, head: Head) -> Tensor | None:
        """From averaged channels and a 1 to class scores, (R * K, C + 1); None if the channels are the scores."""
        if self.output == "logits":
            return None
        weight, bias = head.weight, head.bias[:, None]
        if self.twins is not None:
            order = self.twins.cpu()
            weight, bias = torch.cat([weight, weight[order]], dim=1) / 2, (bias + bias[order]) / 2
        return torch.cat([weight, bias], dim=1).to(self.backend.device)

    def submit(self, batch_BCZYX: Tensor) -> PendingOutput:
        """Begin to compute windows; the result is (B, C, Z, Y, X)."""
        plain = self.backend.submit(batch_BCZYX, self.output)
        if self.twins is None:
            return plain
        return _Both(plain, self.backend.submit(batch_BCZYX.flip(-1), self.output), self.output, self.twins)


@dataclass(frozen=True)
class _Both:
    plain: PendingOutput
    mirrored: PendingOutput
    output: Output
    twins: Tensor

    def result(self) -> Tensor:
        """The windows' channels with those of their mirror images, turned back."""
        plain, mirrored = self.plain.result(), self.mirrored.result().flip(-1)
        if self.output == "features":
            return torch.cat([plain, mirrored], dim=1)
        return (plain + mirrored[:, self.twins]) / 2
