"""The inverse of max-pooling that SegNets use: every maximum goes back to its place, between zeros."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def unpool(x_BC: Tensor, where_BC: Tensor, shape: Sequence[int]) -> Tensor:
    """What ``max_unpool2d`` and ``max_unpool3d`` give, as a scatter: OpenVINO can read it, and it knows bfloat16.

    Args:
        x_BC: a pooled map, two or three axes of space behind B and C.
        where_BC: where pooling with ``return_indices`` found its values.
        shape: of the map before pooling.
    """
    zeros_BCN = x_BC.new_zeros(shape).flatten(2)
    return zeros_BCN.scatter(2, where_BC.flatten(2), x_BC.flatten(2)).reshape(shape)
