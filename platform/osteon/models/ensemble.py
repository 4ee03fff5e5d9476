"""Networks of one kind trained apart, side by side as one network: an ensemble.

Legend: B batch, V views, F features of a member, K classes (background counted), M members, Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from osteon.models.network import Network


class Ensemble(Network):
    """Members that do not see each other, whose probabilities are averaged; members that vote, all vote together.

    On whole scans each member's logits are averaged over windows, as if it were alone; a voxel's class is the one of
    the largest mean of the members' softmax, the smaller number where two are alike. `forward` gives the mean of the
    logits: what tools that know one set of logits see.

    Everything is M times what it is for one member: time, weights and, in segmentation, the channels of the ring in
    which windows are averaged (M times F or K, whichever is less). It still does not grow with the scan's length.

    Args:
        members: networks of the same numbers.
    """

    # OpenVINO reads networks through torch.jit.trace, which would translate properties into TorchScript.
    __jit_unused_properties__: ClassVar = ["head", "num_features"]

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        first = members[0]
        self.members = nn.ModuleList(members)
        self.num_views = first.num_views
        self.num_classes = first.num_classes
        self.num_voters = sum(member.num_voters for member in members)
        self.fusion = "probability" if first.num_voters == 1 else first.fusion
        self.stride = first.stride

    @property
    def head(self) -> nn.Conv3d:  # type: ignore[override]  # what others hold is joined here from what members hold
        """The members' heads as one of groups, each reading its own member's features."""
        heads = [cast(Network, member).head for member in self.members]
        weight, groups = torch.cat([head.weight for head in heads]), sum(head.groups for head in heads)
        bias = torch.cat([head.get_parameter("bias") for head in heads])
        joined = nn.Conv3d(groups * weight.shape[1], len(weight), 1, groups=groups, device="meta")  # draws no weights
        joined.load_state_dict({"weight": weight, "bias": bias}, assign=True)
        return joined

    def features(self, x_BVZYX: Tensor) -> Tensor:
        """The members' features one after the other, (B, M * F, Z, Y, X)."""
        return torch.cat([cast(Network, member).features(x_BVZYX) for member in self.members], dim=1)

    def scores(self, x_BVZYX: Tensor) -> Tensor:
        """The members' logits one after the other, (B, M * K, Z, Y, X)."""
        return torch.cat([cast(Network, member).scores(x_BVZYX) for member in self.members], dim=1)

    def forward(self, x_BVZYX: Tensor) -> Tensor:
        """The mean of the members' logits, l_BKZYX."""
        return torch.stack(self.scores(x_BVZYX).chunk(self.num_voters, dim=1)).mean(0)
