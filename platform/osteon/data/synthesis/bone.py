"""Bone: a cortical shell of some thickness round trabecular bone, which is marrow and fat as well.

Cortical 600 to 1600 HU (chosen, after partial volume it shows as 300 to 1000 on slices of 3 mm). Trabecular: 50 to
350 HU; vertebrae of healthy adults have about 130 to 250, osteoporotic ones below 110 (Pickhardt et al., Annals of
Internal Medicine 158, 2013). Thicknesses are chosen: millimetres of a radiograph's cortex at each site.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.core.volume import Array
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field
from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.texture import Texture

_CORTEX_MM = {
    "femur": (0.8, 3.5),
    "tibia": (0.8, 3.5),
    "humerus": (0.8, 3.0),
    "hip": (0.6, 2.0),
    "skull": (1.0, 3.0),
    "mandible": (1.0, 3.0),
    "vertebrae": (0.5, 1.2),
    "sacrum": (0.3, 1.0),
    "rib": (0.5, 1.2),
}
_USUAL_CORTEX_MM = (0.6, 1.8)
_LONG = ("femur", "tibia", "humerus", "fibula", "radius", "ulna")
_MARROW_DEPTH_MM = 6.0  # deeper than this, long bones hold more fat than trabeculae, here and there
_THINNED = ("sacrum", 0.4)  # its wings lose trabeculae to fat; the least share that is left


@dataclass(frozen=True)
class Bones:
    """One case's bones, looked up by structure id; zero for what is no bone.

    Attributes:
        cortex_hu: of the shell.
        cortex_mm: thickness of the shell.
        core_hu: of the trabecular bone.
        marrow_hu: of what lies deep in it.
        rough: share that the trabecular HU deviates by.
        uneven: share that the shell's thickness deviates by along one bone.
        edge_mm: how deep below the labelled surface the bone begins: annotators differ.
    """

    cortex_hu: Field
    cortex_mm: Field
    core_hu: Field
    marrow_hu: Field
    rough: float
    uneven: float
    edge_mm: float

    @classmethod
    def of(cls, person: Person, anatomy: Anatomy) -> Bones:
        """Draw the bones of a case: one person's density and cortex, and each bone's deviation from it."""
        size = anatomy.table.labels[-1].id + 1
        shell, thick, core, marrow = (np.zeros(size, dtype=np.float32) for _ in range(4))
        dense = person.between("core", 0.0, 1.0)
        shell_hu, core_hu = person.between("shell", 600.0, 1600.0), 60.0 + 230.0 * dense * dense
        cortex = person.between("cortex", 0.0, 1.0)
        for name in sorted(anatomy.bones):
            id_ = anatomy.table.ids[name]
            low, high = cortex_mm(name)
            thick[id_] = low + (high - low) * min(max(cortex + person.about(f"cortex {name}", 0.4), 0.0), 1.0)
            shell[id_] = min(max(shell_hu * (1.0 + person.about(f"shell {name}", 0.15)), 600.0), 1600.0)
            left = person.between(f"left {name}", _THINNED[1], 1.0) if name == _THINNED[0] else 1.0
            core[id_] = min(max(left * core_hu * (1.0 + person.about(f"core {name}", 0.25)), 50.0), 350.0)
            is_long = name.startswith(_LONG)
            marrow[id_] = person.between(f"marrow {name}", -60.0, 60.0) if is_long else core[id_]
        rough, uneven = person.between("rough", 0.1, 0.6), person.between("uneven", 0.1, 0.5)
        return cls(shell, thick, core, marrow, rough, uneven, person.about("edge", 0.6))

    def paint(self, hu: Field, structure: Array, depth_mm: Field, voxel_mm: float, texture: Texture) -> None:
        """Paint the bones over ``hu``; edges are one voxel soft, as thin walls do not fill their voxels."""
        at = np.flatnonzero(self.cortex_mm[structure])
        id_, depth = structure.ravel()[at], depth_mm.ravel()[at] - np.float32(self.edge_mm)
        grain, lumps = texture.grain.ravel()[at], texture.lumps.ravel()[at]
        deep = np.clip((depth - np.float32(_MARROW_DEPTH_MM)) / np.float32(6.0), 0.0, 1.0)
        deep *= np.clip(np.float32(0.5) + texture.folds.ravel()[at], 0.0, 1.0)
        core = self.core_hu[id_] + deep * (self.marrow_hu[id_] - self.core_hu[id_])
        core += np.float32(self.rough) * np.abs(core) * (np.float32(0.6) * grain + lumps)
        shell_mm = self.cortex_mm[id_] * np.maximum(np.float32(1.0) + np.float32(self.uneven) * lumps, np.float32(0.1))
        inner = np.clip(np.float32(0.5) + (depth - shell_mm) / np.float32(voxel_mm), 0.0, 1.0)
        bone = self.cortex_hu[id_] + inner * (core - self.cortex_hu[id_])
        share = np.clip(np.float32(0.5) + depth / np.float32(voxel_mm), 0.0, 1.0)
        before = hu.ravel()[at]
        np.put(hu, at, before + share * (bone - before))


def cortex_mm(name: str) -> tuple[float, float]:
    """The thinnest and the thickest cortex of a bone."""
    return next((mm for stem, mm in _CORTEX_MM.items() if name.startswith(stem)), _USUAL_CORTEX_MM)
