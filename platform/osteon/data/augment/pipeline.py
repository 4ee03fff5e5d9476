"""All augmentations in their order: space first, then sides, then what a scanner and its reconstruction change.

A new one goes to the end, so that runs without it draw what they have always drawn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator

from osteon.core.labels import LabelTable
from osteon.data.augment.crop import CropSpec, crop
from osteon.data.augment.dropout import DropoutSpec, drop
from osteon.data.augment.edges import EdgesSpec, add_edges
from osteon.data.augment.flip import FlipSpec, flip
from osteon.data.augment.median import MedianBlurSpec, median_blur
from osteon.data.augment.noise import NoiseSpec, add_noise
from osteon.data.augment.perspective import PerspectiveSpec, tilt
from osteon.data.augment.sharpness import (
    AverageBlurSpec,
    BlurSpec,
    LowResolutionSpec,
    SharpenSpec,
    average_blur,
    blur,
    lower_resolution,
    sharpen,
)
from osteon.data.augment.spatial import AffineSpec, ElasticSpec, warp
from osteon.data.augment.tone import (
    BrightnessSpec,
    ContrastSpec,
    EqualiseSpec,
    GammaSpec,
    InvertSpec,
    bend_gamma,
    equalise,
    invert,
    shift_brightness,
    stretch_contrast,
)
from osteon.data.loader import Batch


class AugmentSpec(BaseModel):
    """Which augmentations training applies, and how strongly; each sample draws each of them for itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    affine: AffineSpec = Field(default=AffineSpec(), description="Rotation, zoom, shift, shear.")
    elastic: ElasticSpec = Field(default=ElasticSpec(), description="Smooth deformation.")
    crop: CropSpec = Field(default=CropSpec(), description="Sides cut off or padded, then stretched; off by default.")
    perspective: PerspectiveSpec = Field(default=PerspectiveSpec(), description="Slices seen aslant; off by default.")
    flip: FlipSpec = Field(default=FlipSpec(), description="Mirroring, with left and right swapped.")
    noise: NoiseSpec = Field(default=NoiseSpec(), description="Gaussian noise.")
    blur: BlurSpec = Field(default=BlurSpec(), description="Gaussian blur.")
    sharpen: SharpenSpec = Field(default=SharpenSpec(), description="Unsharp masking; off by default.")
    brightness: BrightnessSpec = Field(default=BrightnessSpec(), description="A constant added.")
    contrast: ContrastSpec = Field(default=ContrastSpec(), description="Contrast stretched or shrunk.")
    low_resolution: LowResolutionSpec = Field(default=LowResolutionSpec(), description="Coarser voxels.")
    gamma: GammaSpec = Field(default=GammaSpec(), description="A power of the grey value.")
    invert: InvertSpec = Field(default=InvertSpec(), description="The negative; off by default.")
    dropout: DropoutSpec = Field(default=DropoutSpec(), description="Lost voxels and lumps of them; off by default.")
    average_blur: AverageBlurSpec = Field(default=AverageBlurSpec(), description="Local means; off by default.")
    median_blur: MedianBlurSpec = Field(default=MedianBlurSpec(), description="Local medians; off by default.")
    edges: EdgesSpec = Field(default=EdgesSpec(), description="Edges laid over the image; off by default.")
    equalise: EqualiseSpec = Field(default=EqualiseSpec(), description="Histogram equalisation; off by default.")

    @classmethod
    def disabled(cls) -> AugmentSpec:
        """No augmentation at all."""
        return cls.model_validate({name: {"probability": 0.0} for name in cls.model_fields})


def augment(batch: Batch, spec: AugmentSpec, table: LabelTable, generator: Generator) -> Batch:
    """A new, augmented batch on the batch's own device; the batch itself is left as it is.

    Args:
        batch: normalised images and their classes.
        spec: what to do.
        table: the labels whose classes the batch holds; says which are each other's left and right.
        generator: on the CPU; the only source of chance (see `generator_for`).
    """
    views = [view.clone() for view in (batch.image_BCZYX, *batch.contexts)]
    labels = [each.clone() for each in batch.labels]
    warp(views, labels, spec.affine, spec.elastic, batch.spacing_mm, generator)
    crop(views, labels, spec.crop, batch.spacing_mm, generator)
    tilt(views, labels, spec.perspective, batch.spacing_mm, generator)
    flip(views, labels, spec.flip, table, generator)
    add_noise(views, spec.noise, generator)
    blur(views, spec.blur, batch.spacing_mm, generator)
    sharpen(views, spec.sharpen, batch.spacing_mm, generator)
    shift_brightness(views, spec.brightness, generator)
    stretch_contrast(views, spec.contrast, generator)
    lower_resolution(views, spec.low_resolution, generator)
    bend_gamma(views, spec.gamma, generator)
    invert(views, spec.invert, generator)
    drop(views, spec.dropout, batch.spacing_mm, generator)
    average_blur(views, spec.average_blur, batch.spacing_mm, generator)
    median_blur(views, spec.median_blur, batch.spacing_mm, generator)
    add_edges(views, spec.edges, generator)
    equalise(views, spec.equalise, generator)
    return replace(
        batch,
        image_BCZYX=views[0],
        labels_BZYX=labels[0],
        contexts=tuple(views[1:]),
        context_labels=tuple(labels[1:]),
    )


def generator_for(seed: int, rank: int, step: int) -> Generator:
    """The source of chance of one rank's step: a resumed run augments as the unbroken run would have."""
    state = np.random.SeedSequence(seed, spawn_key=(rank, step, 1)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
