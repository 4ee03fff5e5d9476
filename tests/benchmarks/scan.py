"""A CT-like scan for benchmarks: it compresses and zones like a real one, and is made in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3

NUM_BONES = 24
CLIP_HU, MEAN_HU, STD_HU = (-1000, 1500), 80.0, 300.0


@dataclass(frozen=True)
class Scan:
    """A noisy body in air, with bones.

    Attributes:
        image: HU int16, z, y, x.
        labels: bone ids 1 to 24, uint8.
        grid: 1 x 0.8 x 0.8 mm.
    """

    image: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    grid: Grid

    @classmethod
    def make(cls, shape: Index3) -> Scan:
        """An elliptic body of soft tissue with 16 HU of noise, and 24 boxes of bone."""
        rng = np.random.default_rng(0)
        depth, height, width = shape
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        body = (x / 0.85) ** 2 + (y / 0.6) ** 2 < 1
        labels = np.zeros(shape, np.uint8)
        for bone in range(1, NUM_BONES + 1):
            z0, y0, x0 = (int(rng.integers(n // 5, n - n // 4)) for n in shape)
            labels[z0 : z0 + depth // 12, y0 : y0 + height // 12, x0 : x0 + width // 12] = bone
        image = np.empty(shape, np.int16)
        for z in range(depth):  # plane by plane, to stay small
            noise = rng.standard_normal((height, width), dtype=np.float32)
            tissue = 40 + 30 * np.sin(6 * x + z / 40) * np.cos(5 * y) + 16 * noise
            image[z] = np.where(body, tissue + 600 * (labels[z] > 0), 2 * noise - 1000)
        return cls(image, labels, Grid(shape, (1.0, 0.8, 0.8)))


def normalise(image: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """HU clipped and standardised, as networks take them."""
    result = np.multiply(np.clip(image, *CLIP_HU), np.float32(1 / STD_HU), dtype=np.float32)
    result -= np.float32(MEAN_HU / STD_HU)
    return result
