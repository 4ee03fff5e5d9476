"""What a recipe asks to be done to scans before anything else sees them."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

HU_RANGE = (-32767, 32767)  # what a stored voxel can be


class PrepareSpec(BaseModel):
    """How scans become the cases of a derived dataset; nothing is done unless something is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    femurs: bool = Field(
        default=False, description="One case per femur, left ones mirrored: all are right femurs (Saillard 2023)."
    )
    align_shaft: bool = Field(
        default=False, description="Turn each femur so that its longest axis points along z; needs `femurs`."
    )
    crop_bones: tuple[str, ...] = Field(
        default=(), description="Crop to the box around these bones, by name; found in labels."
    )
    crop_above_hu: float | None = Field(
        default=None, description="Crop to the box around what is brighter, averaged over 3 mm; null: no such crop."
    )
    margin_mm: float = Field(default=10.0, ge=0, description="Kept around femurs, bones or what is bright, per side.")
    spacing_mm: Annotated[
        tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None,
        Field(description="Voxel spacing z, y, x to resample to; null: the scan's own."),
    ] = None
    plane_shape: Annotated[
        tuple[PositiveInt, PositiveInt] | None,
        Field(description="Resize every plane to these voxels y, x instead, whatever its spacing; null: as it comes."),
    ] = None
    window_hu: Annotated[
        tuple[int, int] | None, Field(description="Lowest and highest HU kept; the rest is cut. null: all.")
    ] = None

    @model_validator(mode="after")
    def _check(self) -> PrepareSpec:
        if self.align_shaft and not self.femurs:
            raise ValueError("align_shaft turns femurs: set femurs too")
        if sum((self.femurs, bool(self.crop_bones), self.crop_above_hu is not None)) > 1:
            raise ValueError("femurs, crop_bones and crop_above_hu are three ways to crop: choose one")
        lowest, highest = self.window_hu or HU_RANGE
        if not HU_RANGE[0] <= lowest < highest <= HU_RANGE[1]:
            raise ValueError(f"window_hu must be (lowest, highest) within {HU_RANGE}, not {self.window_hu}")
        return self

    @property
    def is_active(self) -> bool:
        """Whether anything is asked for."""
        return any(
            (
                self.femurs,
                self.crop_bones,
                self.crop_above_hu is not None,
                self.spacing_mm,
                self.plane_shape,
                self.window_hu,
            )
        )

    @property
    def needs_labels(self) -> bool:
        """Whether bones have to be found before the scan can be prepared."""
        return self.femurs or bool(self.crop_bones)

    @property
    def digest(self) -> str:
        """SHA-256 of every value, hexadecimal: specs that ask for the same have the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
