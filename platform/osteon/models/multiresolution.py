"""U-Nets that look at several resolutions at once: HookNet, MRN and SneakyNet, by which levels their contexts join.

Source: Schnider et al. 2022, "Improved distinct bone segmentation in upper-body CT through multi-resolution networks",
section 2.1. HookNet: van Rijthoven et al. 2021, doi 10.1016/j.media.2020.101890. MRN: Gu et al. 2018.
Legend: B batch, V views, C channels, F features, K classes (background counted), Z Y X voxels. Levels from the finest.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from osteon.models.blocks import LEAK, Decoder, Encoder
from osteon.models.network import Network, Output, initialise


class MultiResolutionUNet(Network):
    """A target U-Net and an encoder per context, joined by crop-skip connections.

    Context k sees 2^k times the target's field of view, so the central 2^-k of its map at level m covers what the
    target's map at level m + k covers, voxel for voxel: it is concatenated there in the target's decoder (section
    2.1.1 for k = 1; the same rule for k = 2, 3).

    Args:
        num_classes: K, the background counted.
        channels: features per level of every branch, finest first.
        num_contexts: contexts, one to three.
        joined_levels: levels of the target's decoder that contexts join; the last is the bottleneck.
        context_decoders: give each context a decoder and a head of its own, to be trained on the context's labels.
    """

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int],
        num_contexts: int,
        joined_levels: Sequence[int],
        *,
        context_decoders: bool,
    ) -> None:
        super().__init__()
        # crops[level] lists (context, its level) of the maps that join the target's decoder there.
        self._crops = [
            [(k, level - k) for k in range(1, num_contexts + 1) if level >= k] if level in joined_levels else []
            for level in range(len(channels))
        ]
        extra = [sum(channels[source] for _, source in joining) for joining in self._crops]
        # Without a decoder nothing reads the maps of a context that are too coarse to be cropped.
        depths = [len(channels) - (0 if context_decoders else k) for k in range(1 + num_contexts)]
        self.encoders = nn.ModuleList(Encoder(1, channels[:depth]) for depth in depths)
        self.decoder = Decoder(channels, extra)
        self.head = nn.Conv3d(channels[0], num_classes, kernel_size=1)
        supervised = num_contexts if context_decoders else 0
        self.context_decoders = nn.ModuleList(Decoder(channels) for _ in range(supervised))
        self.context_heads = nn.ModuleList(nn.Conv3d(channels[0], num_classes, 1) for _ in range(supervised))
        self.num_views = 1 + num_contexts
        self.num_classes = num_classes
        step = 2 ** len(channels)  # one level more than a U-Net's: centres of all maps must be whole voxels
        self.stride = (step, step, step)
        initialise(self, LEAK)

    def features(self, x_BVZYX: Tensor) -> Tensor:
        """The target decoder's finest feature map f_BFZYX, what the head reads."""
        return self._target(self._encode(x_BVZYX))

    def supervised(self, x_BVZYX: Tensor) -> list[Output]:
        """Logits of the target, and of every context that has a decoder."""
        maps = self._encode(x_BVZYX)
        outputs = [Output(self.head(self._target(maps)))]
        for number, (decoder, head) in enumerate(zip(self.context_decoders, self.context_heads, strict=True), start=1):
            outputs.append(Output(head(decoder(maps[number])[-1]), view=number))
        return outputs

    def _encode(self, x_BVZYX: Tensor) -> list[list[Tensor]]:
        """The maps of every view by level."""
        return [encoder(x_BVZYX[:, view : view + 1]) for view, encoder in enumerate(self.encoders)]

    def _target(self, maps: Sequence[Sequence[Tensor]]) -> Tensor:
        extra = [[_central(maps[k][level], 2**k) for k, level in joining] for joining in self._crops]
        finest: Tensor = self.decoder(maps[0], extra)[-1]
        return finest


def _central(x_BCZYX: Tensor, parts: int) -> Tensor:
    """The central cuboid whose sides are those of the map divided by ``parts``."""
    z, y, x = (slice((n - n // parts) // 2, (n + n // parts) // 2) for n in x_BCZYX.shape[2:])
    return x_BCZYX[:, :, z, y, x]
