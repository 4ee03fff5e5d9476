"""Pictures of one case in three planes: the scan, the prediction as colour, the reference as outline.

Radiological convention, for scans in LPS order: the viewer looks from the feet and from the front, so the patient's
left is on the right; anterior is up (axial), superior is up (coronal, sagittal). Pixels are as long as they are wide in
the body, whatever the voxels' spacing.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from osteon.core.geometry import Index3
from osteon.core.labels import Label, LabelTable
from osteon.core.volume import Array, Volume

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")  # axis k of z, y, x runs through the slices of PLANES[k]
BONE_WINDOW_HU = (-450.0, 1050.0)  # centre 300, width 1500
LONG_SIDE_PX = 520
SEARCH_SIDE = 128  # voxels along the longest side when the slices to show are sought
FILL_ALPHA = 0.42
LETTERS: dict[Plane, tuple[str, str, str, str]] = {  # where the patient's sides are: left, right, top, bottom
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}


@dataclass(frozen=True)
class Picture:
    """One rendered plane.

    Attributes:
        plane: which way it cuts.
        position: slice number along the plane's axis, from 0.
        num_slices: how many slices there are along it.
        png: the encoded picture.
        bones: the bones in it, in reference or prediction, in order of id.
    """

    plane: Plane
    position: int
    num_slices: int
    png: bytes
    bones: tuple[Label, ...]


def draw_planes(image: Volume, prediction: Array, reference: Array, table: LabelTable) -> tuple[Picture, ...]:
    """The three planes of a case that show the reference's bones best, or the prediction's if it has none.

    Args:
        image: HU; only the planes are read.
        prediction: label ids, z, y, x, on the image's grid.
        reference: label ids on the same grid.
        table: the bones to draw; other ids stay invisible.
    """
    guide = reference if np.isin(reference, list(table.names)).any() else prediction
    positions = _richest_slices(guide, table)
    return tuple(_draw(image, prediction, reference, table, axis, positions[axis]) for axis in range(3))


def _richest_slices(labels: Array, table: LabelTable) -> Index3:
    """Along each axis the slice with the largest sum of square roots of the bones' areas: many bones, each well cut.

    Searched on every n-th voxel, so that the choice takes no longer for a long scan.
    """
    step = max(1, max(labels.shape) // SEARCH_SIDE)
    coarse = labels[::step, ::step, ::step]
    wealth = [np.zeros(side) for side in coarse.shape]
    for label in table.labels:
        of_bone = coarse == label.id
        for axis in range(3):
            others = tuple(k for k in range(3) if k != axis)
            wealth[axis] += np.sqrt(np.count_nonzero(of_bone, axis=others))
    return _index([int(np.argmax(values)) * step for values in wealth])


def _draw(image: Volume, prediction: Array, reference: Array, table: LabelTable, axis: int, position: int) -> Picture:
    plane = PLANES[axis]
    hu = _upright(_slice(image, axis, position), axis)
    predicted = _upright(np.take(prediction, position, axis), axis)
    expected = _upright(np.take(reference, position, axis), axis)
    bones = table.subset(int(id_) for id_ in np.union1d(predicted, expected)).labels
    rows_mm, columns_mm = (spacing for k, spacing in enumerate(image.grid.spacing_mm) if k != axis)
    figure = _figure(hu.shape[0] * rows_mm, hu.shape[1] * columns_mm)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.imshow(
        hu, cmap="gray", vmin=BONE_WINDOW_HU[0], vmax=BONE_WINDOW_HU[1], aspect="auto", interpolation="bilinear"
    )
    axes.imshow(_fill(predicted, bones), aspect="auto", interpolation="nearest")
    _outline(axes, expected, bones)
    _write_letters(axes, plane)
    return Picture(plane, position, image.grid.shape[axis], _png(figure), bones)


def _slice(image: Volume, axis: int, position: int) -> Array:
    start, shape = [0, 0, 0], list(image.grid.shape)
    start[axis], shape[axis] = position, 1
    return image.read(_index(start), _index(shape)).result().squeeze(axis)


def _index(values: Sequence[int]) -> Index3:
    z, y, x = values
    return (z, y, x)


def _upright(plane: Array, axis: int) -> Array:
    """Rows run downwards on a screen: y does so already (posterior is down), z must be turned over."""
    return plane if axis == 0 else plane[::-1]


def _figure(height_mm: float, width_mm: float) -> Figure:
    scale = LONG_SIDE_PX / max(height_mm, width_mm)
    figure = Figure(figsize=(max(1.0, width_mm * scale) / 100, max(1.0, height_mm * scale) / 100), dpi=100)
    FigureCanvasAgg(figure)
    return figure


def _fill(labels: Array, bones: Sequence[Label]) -> npt.NDArray[np.float32]:
    colours = np.zeros((*labels.shape, 4), dtype=np.float32)
    for bone in bones:
        colours[labels == bone.id] = (*(channel / 255 for channel in bone.rgba[:3]), FILL_ALPHA)
    return colours


def _outline(axes: Axes, labels: Array, bones: Sequence[Label]) -> None:
    for bone in bones:
        inside = np.pad((labels == bone.id).astype(np.float32), 1)  # a ring, so that outlines close at the border
        if inside.any():
            rows, columns = (np.arange(-1, size + 1) for size in labels.shape)
            colour = tuple(channel / 255 for channel in bone.rgba)
            lines = axes.contour(columns, rows, inside, levels=[0.5], colors=[colour], linewidths=1.1)
            lines.set_path_effects([Stroke(linewidth=2.2, foreground=(0, 0, 0, 0.65)), Normal()])


def _write_letters(axes: Axes, plane: Plane) -> None:
    left, right, top, bottom = LETTERS[plane]
    for x, y, letter in ((0.025, 0.5, left), (0.975, 0.5, right), (0.5, 0.97, top), (0.5, 0.03, bottom)):
        text = axes.text(
            x, y, letter, transform=axes.transAxes, color="white", fontsize=9, weight="bold", ha="center", va="center"
        )
        text.set_path_effects([Stroke(linewidth=2, foreground="black"), Normal()])


def _png(figure: Figure) -> bytes:
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", facecolor="black", pil_kwargs={"optimize": True})
    return encoded.getvalue()
