"""The numbers of the networks that see several resolutions at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from osteon.core.geometry import Index3
from osteon.models.multiresolution import MultiResolutionUNet
from osteon.models.network import NetworkSpec


class MultiResolutionSpec(NetworkSpec):
    """The numbers of a HookNet, an MRN or a SneakyNet (Schnider et al. 2022, figure 3, B, C and D)."""

    architecture: Literal["hooknet", "mrn", "sneakynet"] = Field(
        default="sneakynet",
        description="hooknet: contexts join the bottleneck, and are judged by their own labels too; mrn: they join "
        "every level, and are not judged; sneakynet: they join every level and are judged.",
    )
    channels: tuple[int, ...] = Field(
        default=(16, 32, 64, 128, 256),
        min_length=3,
        max_length=6,
        description="Features per level of the target's and of every context's branch, finest first.",
    )
    contexts: int = Field(
        default=1, ge=1, le=3, description="Wider views: the k-th has 2^k times the patch's field of view."
    )

    @property
    def num_contexts(self) -> int:
        """As the recipe says."""
        return self.contexts

    @property
    def supervises_contexts(self) -> bool:
        """MRN has no context decoder."""
        return self.architecture != "mrn"

    @property
    def stride(self) -> Index3:
        """Twice that of a U-Net: the middle of every map must be whole voxels."""
        step = 2 ** len(self.channels)
        return (step, step, step)

    def build(self, num_classes: int) -> MultiResolutionUNet:
        """The network with fresh weights."""
        bottleneck = len(self.channels) - 1
        joined = [bottleneck] if self.architecture == "hooknet" else range(1, bottleneck + 1)
        return MultiResolutionUNet(
            num_classes, self.channels, self.contexts, list(joined), context_decoders=self.supervises_contexts
        )
