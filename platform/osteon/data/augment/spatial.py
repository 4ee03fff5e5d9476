"""Rotation, zoom, shift, shear and elastic deformation as one field of positions, through which everything is sampled.

Lengths are millimetres, so anisotropic voxels rotate as the body would.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import Generator, Tensor

from osteon.core.geometry import Vector3
from osteon.data.augment.resample import Positions, affine_field, resample
from osteon.data.augment.transform import Labels, Probability, Range, Transform, Views, draw_between, map_axes

_FOLDS_ABOVE = 0.4  # share of the node distance; Choi & Lee 2000, "Injectivity conditions of 2D and 3D uniform cubic
# B-spline functions": displacements below 0.403 of it never fold space


class AffineSpec(Transform):
    """Rotation, zoom, shift and shear."""

    probability: Probability = 0.5
    rotation_deg: NonNegativeFloat = Field(
        default=15.0, description="Largest angle about each axis, either way, in degrees."
    )
    axes: tuple[Literal["z", "y", "x"], ...] = Field(
        default=("z", "y", "x"), description="Axes that are turned about; z alone turns axial slices in their plane."
    )
    scale: Range = Field(default=(0.85, 1.2), description="Magnification of the content, the same on all axes.")
    translation_mm: NonNegativeFloat = Field(
        default=0.0, description="Largest shift along each axis, mm; 0 because patches are drawn anywhere already."
    )
    shear: NonNegativeFloat = Field(default=0.0, description="Largest tangent of each shear angle, either way.")


class ElasticSpec(Transform):
    """A smooth random deformation: cubic B-splines over a coarse lattice of random displacements."""

    probability: Probability = 0.15
    node_distance_mm: PositiveFloat = Field(default=25.0, description="Distance of the lattice's nodes, mm.")
    displacement_mm: NonNegativeFloat = Field(
        default=6.0, description="Largest displacement of a node along each axis, mm; at most 0.4 of the node distance."
    )

    @model_validator(mode="after")
    def _check_folding(self) -> ElasticSpec:
        if self.displacement_mm > _FOLDS_ABOVE * self.node_distance_mm:
            raise ValueError(
                f"displacement_mm {self.displacement_mm} would fold space: "
                f"at most {_FOLDS_ABOVE * self.node_distance_mm:g} for node_distance_mm {self.node_distance_mm}"
            )
        return self


def warp(
    views: Views,
    labels: Labels,
    affine: AffineSpec,
    elastic: ElasticSpec,
    spacing_mm: tuple[Vector3, ...],
    generator: Generator,
) -> None:
    """Warp the drawn samples of every view (trilinear) and of its labels (nearest), in place."""
    count = len(views[0])
    moved = affine.draw_rows(count, generator)
    bent = elastic.draw_rows(count, generator)
    matrix_BDD, shift_BD = draw_affine(affine, count, moved, generator)
    spacing_BD = torch.tensor(spacing_mm)
    lattice_BDIJK = _draw_lattice(elastic, views, spacing_BD, bent, generator) if len(bent) else None
    rows = torch.unique(torch.cat([moved, bent]))
    if not len(rows):
        return

    def field_of(positions: Positions) -> Tensor:
        field_BDZYX = affine_field(positions, matrix_BDD[rows], shift_BD[rows])
        if lattice_BDIJK is None:
            return field_BDZYX
        return field_BDZYX + _bend(lattice_BDIJK[rows], positions, elastic.node_distance_mm)

    resample(views, labels, rows, spacing_BD, field_of)


def draw_affine(spec: AffineSpec, num_samples: int, rows: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """From output to input mm about the centre: matrices (B, 3, 3) and shifts (B, 3); identity off ``rows``."""
    count = len(rows)
    limit = math.radians(spec.rotation_deg)
    turned = torch.tensor([float(axis in spec.axes) for axis in ("z", "y", "x")])
    angles = draw_between((-limit, limit), (count, 3), generator) * turned
    scale = draw_between(spec.scale, (count, 1, 1), generator)
    skew = draw_between((-spec.shear, spec.shear), (count, 3, 3), generator).triu(1)
    matrix, shift = torch.eye(3).repeat(num_samples, 1, 1), torch.zeros(num_samples, 3)
    matrix[rows] = _rotation(angles) @ (torch.eye(3) + skew) / scale
    shift[rows] = draw_between((-spec.translation_mm, spec.translation_mm), (count, 3), generator)
    return matrix, shift


def _rotation(angles_BD: Tensor) -> Tensor:
    result = torch.eye(3).repeat(len(angles_BD), 1, 1)
    for axis, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = torch.eye(3).repeat(len(angles_BD), 1, 1)
        cosine, sine = angles_BD[:, axis].cos(), angles_BD[:, axis].sin()
        turn[:, a, a], turn[:, a, b], turn[:, b, a], turn[:, b, b] = cosine, -sine, sine, cosine
        result = result @ turn
    return result


def _draw_lattice(spec: ElasticSpec, views: Views, spacing_BD: Tensor, rows: Tensor, generator: Generator) -> Tensor:
    """BDIJK: displacements, mm, of nodes over the field of view of the widest view; zero off ``rows``."""
    reach = spacing_BD.amax(0) * torch.tensor(views[0].shape[2:]) * 2 ** (len(views) - 1) / 2
    nodes = [2 * math.ceil(mm / spec.node_distance_mm + 2) + 1 for mm in reach.tolist()]  # a spline reaches 2 nodes
    lattice = torch.zeros(len(spacing_BD), 3, *nodes)
    limits = (-spec.displacement_mm, spec.displacement_mm)
    lattice[rows] = draw_between(limits, (len(rows), 3, *nodes), generator)
    return lattice


def _bend(lattice_BDIJK: Tensor, positions: Positions, node_distance_mm: float) -> Tensor:
    """BDZYX: the splines' displacements, mm."""
    lattice = lattice_BDIJK.to(positions[0].device)
    weights = [
        _spline_weights(axis / node_distance_mm, nodes)
        for axis, nodes in zip(positions, lattice.shape[2:], strict=True)
    ]
    return map_axes(lattice, weights[0], weights[1], weights[2])


def _spline_weights(positions_BZ: Tensor, num_nodes: int) -> Tensor:
    """BZI: uniform cubic B-spline weights of the nodes, positions in node distances from the middle node."""
    nodes = torch.arange(num_nodes, device=positions_BZ.device) - (num_nodes - 1) / 2
    distance = (positions_BZ[..., None] - nodes).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    return torch.where(distance < 1, near, (2 - distance).clamp(min=0) ** 3 / 6)
