"""The scanner: slice thickness, sharpness, noise with its texture, and whole HU at the end.

Integer arithmetic in sixteenths of an HU, as the phantom's scanner, whose blur is used. Noise of 5 to 30 HU is chosen
after routine scans: 12 HU were measured in the liver of a real one at 3 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Vector3
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.person import Person
from osteon.data.phantom.scanner import Integers, blur, whole_hu

SIXTEENTHS = 16
_METAL_HU, _METAL_NOISE = 2600, 3  # slices that hold brighter voxels than this are so many times noisier
_FINEST = 0.02  # a blur of less variance than this (voxels²) would not be seen


@dataclass(frozen=True)
class Exposure:
    """How one scan is taken.

    Attributes:
        slice_mm: thickness of the slices.
        blur_mm: standard deviation of the in-plane blur.
        noise_hu: standard deviation of the noise.
        coarse: how wide the noise's grain is in the plane: 0, 1 or 2 blurs by (1, 2, 1).
    """

    slice_mm: float
    blur_mm: float
    noise_hu: float
    coarse: int

    @classmethod
    def of(cls, person: Person) -> Exposure:
        """Draw an exposure; low noise is likelier than high."""
        draws = person.draws("exposure")
        noise = draws.uniform(0.0, 1.0)
        return cls(
            slice_mm=draws.uniform(1.0, 6.0),
            blur_mm=draws.uniform(0.3, 1.1),
            noise_hu=5.0 + 25.0 * noise * noise,
            coarse=int(draws.uniform(0.0, 3.0)),
        )

    def take(self, fine: Integers, spacing_mm: Vector3, draws: Draws) -> npt.NDArray[np.int16]:
        """The scan, int16 HU, of a volume in sixteenths of an HU whose voxels are means over themselves."""
        thick = (self.slice_mm**2 - spacing_mm[0] ** 2) / 12.0  # what a slice's profile is wider than its voxels
        for axis, variance_mm2 in enumerate((thick, self.blur_mm**2, self.blur_mm**2)):
            fine = _soften(fine, axis, variance_mm2 / spacing_mm[axis] ** 2)
        return whole_hu(fine + self._noise(fine, draws))

    def _noise(self, fine: Integers, draws: Draws) -> Integers:
        """Noise like that of filtered back-projection: correlated in the plane, not between slices."""
        depth, height, width = fine.shape
        speckle = draws.grain((depth, height, width))
        for axis in (1, 2) * self.coarse:
            speckle = blur(speckle, axis, 2)
        deviation = 4 * math.comb(4 * self.coarse, 2 * self.coarse)  # of the blurred grain, both axes
        per_slice = np.where(fine.max(axis=(1, 2)) > _METAL_HU * SIXTEENTHS, _METAL_NOISE, 1).astype(np.int32)
        noise: Integers = speckle * round(self.noise_hu * SIXTEENTHS) * per_slice[:, None, None] // deviation
        return noise


def _soften(fine: Integers, axis: int, variance: float) -> Integers:
    """Blur along an axis by a kernel of a variance in voxels²: (1, m, 1) has 2 / (m + 2), and m is at least 2."""
    if variance < _FINEST or fine.shape[axis] < 2:
        return fine
    passes = math.ceil(variance * 2.0)
    middle = max(2, round(2.0 * passes / variance - 2.0))
    for _ in range(passes):
        fine = blur(fine, axis, middle) // (middle + 2)
    return fine
