"""Label volumes that several test modules of this room share."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable


@pytest.fixture
def table() -> LabelTable:
    return LabelTable.of({3: "sacrum", 7: "hip_left", 8: "hip_right", 300: "plate"})


@pytest.fixture
def blobs() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A prediction and a reference of classes 1 … 5 with ragged surfaces, some of them cut off by the border."""
    random = np.random.default_rng(5)
    z, y, x = np.ogrid[:18, :26, :22]
    reference = np.zeros((18, 26, 22), dtype=np.uint8)
    for number in range(1, 6):
        center, radius = random.uniform(2, 16, 3), random.uniform(3, 6)
        reference[(z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 < radius**2] = number
    prediction = np.roll(reference, (1, 0, 2), axis=(0, 1, 2))
    prediction[random.random(prediction.shape) < 0.02] = 2
    return prediction, reference


@pytest.fixture
def oblique() -> Grid:
    """40 voxels of 1 x 0.8 x 0.8 mm along axes that are turned about all three patient axes, away from the origin."""
    (a, b, c), (d, e, f), (g, h, i) = Rotation.from_euler("zyx", (20, -35, 50), degrees=True).as_matrix().tolist()
    return Grid((40, 44, 46), (1.0, 0.8, 0.8), (-310.0, 55.0, 120.0), (a, b, c, d, e, f, g, h, i))
