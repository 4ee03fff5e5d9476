"""One network on some engine: the protocol the stream computes through, and the choice of an engine.

Legend: B batch, C views in, F features, K classes (background counted), R voters, Z Y X voxels of a window.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.core.errors import BadInput
from osteon.core.geometry import Index3
from osteon.models.network import Fusion

Output = Literal["features", "logits"]
OUTPUTS: tuple[Output, ...] = get_args(Output)
BackendName = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Windows = npt.NDArray[np.float32]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Head:
    """The last layer of a network, a 1x1x1 convolution: logits = weight · features + bias.

    Attributes:
        weight: float32 (R * K, F).
        bias: float32 (R * K,).
        num_voters: R, networks in one that elect a voxel's class; the scores of one follow those of the one before.
        fusion: how they elect it.
    """

    weight: Tensor
    bias: Tensor
    num_voters: int = 1
    fusion: Fusion = "vote"

    @classmethod
    def of(cls, network: nn.Module) -> Head:
        """The head of a network that exposes ``features`` and ``head``.

        Raises:
            BadInput: ``network-head``, if the network has none or it is more than a 1x1x1 convolution.
        """
        head = getattr(network, "head", None)
        if not (isinstance(head, nn.Conv3d) and head.kernel_size == (1, 1, 1) and head.stride == (1, 1, 1)):
            raise BadInput(
                "network-head",
                f"the head of {type(network).__name__} is {head}, not a 1x1x1 convolution",
                remedy="let the network expose features(x) and a Conv3d head of kernel size 1",
            )
        groups = head.weight.detach().float().flatten(1).chunk(head.groups)
        weight: Tensor = torch.block_diag(*groups)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        bias = torch.zeros(len(weight)) if head.bias is None else head.bias.detach().float()
        fusion = cast(Fusion, getattr(network, "fusion", "vote"))
        return cls(weight.cpu(), bias.cpu(), int(getattr(network, "num_voters", 1)), fusion)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.weight) // self.num_voters

    @property
    def cheapest(self) -> Output:
        """What to average over windows: whichever of features and logits has fewer channels."""
        num_scores, num_features = self.weight.shape
        return "logits" if num_scores <= num_features else "features"

    def scores(self, features_BFZYX: Tensor) -> Tensor:
        """Logits (B, R * K, Z, Y, X) of features."""
        return functional.conv3d(features_BFZYX, self.weight[:, :, None, None, None], self.bias)


def computed(network: nn.Module, output: Output) -> Callable[[Tensor], Tensor]:
    """The part of a network that gives ``output``.

    Of a network of several voters these are the voters' own logits: ``forward`` gives their mean, which cannot vote.
    """
    plain: Any = network
    if output == "features":
        return cast(Callable[[Tensor], Tensor], plain.features)
    return cast(Callable[[Tensor], Tensor], plain.scores if getattr(network, "num_voters", 1) > 1 else plain.forward)


def num_views_of(network: nn.Module) -> int:
    """Channels of a network's input; one that says nothing of them sees the target alone."""
    return int(getattr(network, "num_views", 1))


class PendingOutput(Protocol):
    """Windows being computed; `result` waits for them."""

    def result(self) -> Tensor:
        """(B, F or R * K, Z, Y, X) on the backend's device, valid until `depth` more batches are submitted.

        In the precision and memory layout that the engine computes in.
        """
        ...


class Backend(Protocol):
    """A network on an engine, for windows of one shape; used by one thread at a time."""

    @property
    def name(self) -> str:
        """Engine and precision, for people."""
        ...

    @property
    def device(self) -> torch.device:
        """Where results lie."""
        ...

    @property
    def depth(self) -> int:
        """How many batches can be under way at once."""
        ...

    @property
    def num_views(self) -> int:
        """V, channels of its input: the target and its contexts."""
        ...

    @property
    def head(self) -> Head:
        """The network's last layer."""
        ...

    @property
    def agreement(self) -> float:
        """Share of voxels of the probe patch on which the labels equal those of eager float32."""
        ...

    def submit(self, batch_BCZYX: Tensor, output: Output) -> PendingOutput:
        """Begin to compute up to the batch size of windows; float32 on `device`."""
        ...

    def features(self, batch_BCZYX: Windows) -> Windows:
        """What the head reads, float32 (B, F, Z, Y, X)."""
        ...

    def logits(self, batch_BCZYX: Windows) -> Windows:
        """Class scores, float32 (B, R * K, Z, Y, X)."""
        ...


def open_backend(
    network: nn.Module,
    name: BackendName = "auto",
    window_shape: Index3 = (64, 64, 64),
    batch_size: int = 1,
    *,
    precision: Precision = "auto",
    device: str | None = None,
    compiled: bool = True,
    num_threads: int = 0,
) -> Backend:
    """The network on an engine, checked against eager float32 on a probe patch. The network itself stays as it is.

    Args:
        network: exposes ``features`` and a 1x1x1 ``head``.
        name: ``auto`` takes torch where there is a CUDA device, OpenVINO elsewhere.
        window_shape: voxels of a window, z, y, x.
        batch_size: windows computed at once.
        precision: ``auto`` takes bfloat16 on a CUDA device and, where the processor has it, in OpenVINO, unless too
            many labels of the probe differ: it can be too coarse for a network that has hardly learnt or that unpools.
        device: a torch device; by default the first CUDA device, or the CPU.
        compiled: let torch compile the network for a CUDA device; takes longer than it saves for a few scans.
        num_threads: of OpenVINO; 0 for all cores. Torch goes by ``OMP_NUM_THREADS``.

    Raises:
        BackendDisagrees: ``backend-disagrees``, if too many labels of the probe differ.
        BadInput: ``network-head`` or ``unknown-backend``.
    """
    from osteon.inference.agreement import BackendDisagrees

    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    engine = name if name != "auto" else ("torch" if target.type == "cuda" else "openvino")
    order = _Order(
        copy.deepcopy(network).eval().requires_grad_(False).cpu(),
        window_shape,
        batch_size,
        target,
        compiled,
        num_threads,
    )
    try:
        return order.opened(engine, precision)
    except BackendDisagrees as error:
        if precision != "auto":
            raise
        logger.warning("%s: computing in float32 instead", error)
        return order.opened(engine, "float32")


@dataclass(frozen=True)
class _Order:
    """What every engine is opened for."""

    network: nn.Module
    window_shape: Index3
    batch_size: int
    device: torch.device
    compiled: bool
    num_threads: int

    def opened(self, engine: str, precision: Precision) -> Backend:
        if engine == "torch":
            from osteon.inference.torch_backend import TorchBackend

            on_cuda = self.device.type == "cuda"
            with_compiler = self.compiled and on_cuda and importlib.util.find_spec("triton") is not None
            half = precision == "bfloat16" or (precision == "auto" and on_cuda)
            return TorchBackend(
                self.network, self.window_shape, self.batch_size, self.device, half=half, compiled=with_compiler
            )
        if engine == "openvino":
            from osteon.inference.openvino_backend import OpenVinoBackend

            return OpenVinoBackend(
                self.network, self.window_shape, self.batch_size, precision, num_threads=self.num_threads
            )
        raise BadInput("unknown-backend", f"there is no backend {engine!r}", remedy="choose auto, torch or openvino")
