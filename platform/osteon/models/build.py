"""From the numbers of a recipe to a network: every architecture by its name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag

from osteon.core.geometry import Index3
from osteon.models.ensemble import Ensemble
from osteon.models.network import Network, NetworkSpec
from osteon.models.slice_specs import (
    FCNSpec,
    MultiAxialSpec,
    PretrainedUNet2dSpec,
    PSPNetSpec,
    SegNet2dSpec,
    UNet2dSpec,
)
from osteon.models.view_specs import MultiResolutionSpec
from osteon.models.volume_specs import (
    ClassicUNet3dSpec,
    KiUNet3dSpec,
    NnUNetSpec,
    SegNet3dSpec,
    UNet3dSpec,
    VNetSpec,
)


class EnsembleSpec(NetworkSpec):
    """How many networks work side by side, and their numbers; it is made of trained ones, never trained itself."""

    architecture: Literal["ensemble"] = Field(default="ensemble", description="The kind of network.")
    members: PositiveInt = Field(description="Networks, each with weights of its own.")
    member: ModelSpec = Field(description="The numbers of each of them.")

    @property
    def num_contexts(self) -> int:
        """The members'."""
        return self.member.num_contexts

    @property
    def stride(self) -> Index3:
        """The members'."""
        return self.member.stride

    def check_shape(self, shape: Index3) -> None:
        """As the members do."""
        self.member.check_shape(shape)

    def build(self, num_classes: int) -> Ensemble:
        """The networks with fresh weights."""
        return Ensemble([self.member.build(num_classes) for _ in range(self.members)])


SPECS: dict[str, type[NetworkSpec]] = {
    "unet3d": UNet3dSpec,
    "classic-unet3d": ClassicUNet3dSpec,
    "resunet3d": ClassicUNet3dSpec,
    "segnet3d": SegNet3dSpec,
    "kiunet3d": KiUNet3dSpec,
    "vnet": VNetSpec,
    "nnunet": NnUNetSpec,
    "hooknet": MultiResolutionSpec,
    "mrn": MultiResolutionSpec,
    "sneakynet": MultiResolutionSpec,
    "fcn32": FCNSpec,
    "fcn8": FCNSpec,
    "pspnet": PSPNetSpec,
    "unet2d": UNet2dSpec,
    "segnet2d": SegNet2dSpec,
    "unet2d-vgg16": PretrainedUNet2dSpec,
    "unet2d-resnet50": PretrainedUNet2dSpec,
    "multiaxial": MultiAxialSpec,
    "ensemble": EnsembleSpec,
}
"""Whose numbers they are, by ``architecture``."""


def _kind_of(value: Any) -> str:
    """The name of the class of numbers; a plain 3D U-Net where no architecture is named."""
    name = value.get("architecture", "unet3d") if isinstance(value, dict) else getattr(value, "architecture", "")
    return SPECS[name].__name__ if name in SPECS else str(name)


ModelSpec = Annotated[
    Annotated[UNet3dSpec, Tag("UNet3dSpec")]
    | Annotated[ClassicUNet3dSpec, Tag("ClassicUNet3dSpec")]
    | Annotated[SegNet3dSpec, Tag("SegNet3dSpec")]
    | Annotated[KiUNet3dSpec, Tag("KiUNet3dSpec")]
    | Annotated[VNetSpec, Tag("VNetSpec")]
    | Annotated[NnUNetSpec, Tag("NnUNetSpec")]
    | Annotated[MultiResolutionSpec, Tag("MultiResolutionSpec")]
    | Annotated[FCNSpec, Tag("FCNSpec")]
    | Annotated[PSPNetSpec, Tag("PSPNetSpec")]
    | Annotated[UNet2dSpec, Tag("UNet2dSpec")]
    | Annotated[SegNet2dSpec, Tag("SegNet2dSpec")]
    | Annotated[PretrainedUNet2dSpec, Tag("PretrainedUNet2dSpec")]
    | Annotated[MultiAxialSpec, Tag("MultiAxialSpec")]
    | Annotated[EnsembleSpec, Tag("EnsembleSpec")],
    Discriminator(_kind_of),
]
"""The numbers of any network Osteon can build."""
EnsembleSpec.model_rebuild()


def build(spec: NetworkSpec, *, num_classes: int) -> Network:
    """The network of ``spec`` with fresh weights; ``num_classes`` counts the background."""
    return spec.build(num_classes)
