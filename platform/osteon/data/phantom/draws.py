"""Random numbers that are the same on every machine and in every NumPy: the phantom's only source of chance.

Only PCG64's raw 64-bit stream is used, the part of NumPy's generators that is promised never to change; what is built
on it here needs no more than integers and IEEE arithmetic, which have one right answer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class Draws:
    """A stream of draws, fixed by its key."""

    def __init__(self, *key: int) -> None:
        """The stream of a key of non-negative integers, for example (seed, case)."""
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def about(self, spread: float) -> float:
        """A number in (-spread, spread), likelier near 0 (triangular)."""
        return self.uniform(-0.5, 0.5) * spread + self.uniform(-0.5, 0.5) * spread

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform(0.0, 1.0) < probability

    def order(self, count: int) -> list[int]:
        """The numbers 0 … count-1, shuffled."""
        keys = self._bits.random_raw(count)
        return [int(number) for number in np.argsort(keys, kind="stable")]

    def grain(self, shape: tuple[int, int, int]) -> npt.NDArray[np.int32]:
        """White noise of integers with mean 0 and standard deviation 4: the bits of random words, counted, less 32."""
        words = self._bits.random_raw(shape[0] * shape[1] * shape[2])
        return np.bitwise_count(words).astype(np.int32).reshape(shape) - 32
