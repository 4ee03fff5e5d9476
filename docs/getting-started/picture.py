"""Draws the README's picture from what `make demo` left: python docs/getting-started/picture.py demo OUT.png."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from osteon.core.labels import BONES

HU_WINDOW = (-200, 500)
PLANES = ("axial", "coronal", "sagittal")


def read_series(folder: Path) -> sitk.Image:
    """The demo's unseen DICOM series."""
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def cut(volume: npt.NDArray[np.generic], axis: int, at: int) -> npt.NDArray[np.generic]:
    """A plane as radiologists look at it: superior or anterior up, the patient's left on the right."""
    plane = np.take(volume, at, axis=axis)
    return plane if axis == 0 else plane[::-1]


def colours(labels: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Red, green, blue and opacity of a plane of label ids."""
    table = np.zeros((256, 4))
    for bone in BONES.labels:
        table[bone.id] = (*(value / 255 for value in bone.rgba[:3]), 0.65)
    return table[labels]


def main(demo: Path, out: Path) -> None:
    """Three planes through the middle of the bones, and the bones from the front."""
    image = read_series(demo / "unseen" / "phantom-000" / "ct")
    hu = sitk.GetArrayFromImage(image)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(demo / "unseen" / "phantom-000.nii.gz")))
    spacing = image.GetSpacing()[::-1]
    middle = [int(np.median(index)) for index in np.nonzero(labels)]
    mpl.rcParams["font.size"] = 9
    figure, panels = plt.subplots(1, 4, figsize=(12, 3.6), facecolor="black", layout="constrained")
    for axis, name in enumerate(PLANES):
        across = [step for other, step in enumerate(spacing) if other != axis]
        show = {"aspect": across[0] / across[1], "interpolation": "nearest"}
        panels[axis].imshow(cut(hu, axis, middle[axis]), cmap="gray", vmin=HU_WINDOW[0], vmax=HU_WINDOW[1], **show)
        panels[axis].imshow(colours(cut(labels, axis, middle[axis])), **show)
        panels[axis].set_title(name, color="white")
    front = np.take_along_axis(labels, (labels > 0).argmax(axis=1)[:, None], axis=1)[:, 0][::-1]
    depth = (labels > 0).argmax(axis=1)[::-1] / labels.shape[1]
    painted = colours(front)
    painted[..., :3] *= 1 - 0.7 * depth[..., None]
    painted[..., 3] = front > 0
    panels[3].imshow(painted, aspect=spacing[0] / spacing[2])
    panels[3].set_title("from the front", color="white")
    for panel in panels:
        panel.set_axis_off()
    figure.savefig(out, dpi=110, facecolor="black")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
