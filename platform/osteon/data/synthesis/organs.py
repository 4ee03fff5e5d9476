"""Organs: every labelled soft tissue in its HU, and what fills the hollow ones.

Lungs hold vessels, the bowel gas, stool, fluid or oral contrast agent; old arteries and costal cartilages calcify.
All of these are there to be mistaken for bone, or for the gap between two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field
from osteon.data.synthesis.texture import Texture
from osteon.data.synthesis.tissue import Contrast, Palette

_BOWEL = ("stomach", "duodenum", "small_bowel", "colon")
_ARTERIES = ("aorta", "iliac_artery", "subclavian_artery", "common_carotid_artery", "brachiocephalic_trunk")
_GAS_HU = -960.0


@dataclass(frozen=True)
class Filling:
    """What one part of the bowel holds.

    Attributes:
        wall_mm: thickness of its wall.
        gas: where the folds texture is above this, gas.
        oral: where it is below this, contrast agent.
        oral_hu: of that.
        content_hu: of the rest.
        rough_hu: how much stool varies.
    """

    wall_mm: float
    gas: float
    oral: float
    oral_hu: float
    content_hu: float
    rough_hu: float

    @classmethod
    def of(cls, person: Person, part: str) -> Filling:
        """Draw the filling of one part: half of all colons hold stool, a quarter of all cases oral contrast agent."""
        draws = person.draws(f"filling {part}")
        drinks = person.draws("oral").chance(0.25)
        is_stool = part == "colon" and draws.chance(0.6)
        return cls(
            wall_mm=draws.uniform(1.5, 4.0),
            gas=draws.uniform(-0.2, 1.2) if part in ("colon", "stomach") else draws.uniform(0.6, 1.6),
            oral=draws.uniform(-1.0, 0.6) if drinks else -9.0,
            oral_hu=draws.uniform(90.0, 450.0),
            content_hu=draws.uniform(-60.0, 40.0) if is_stool else draws.uniform(0.0, 35.0),
            rough_hu=draws.uniform(100.0, 350.0) if is_stool else 8.0,
        )

    def hu(self, texture: Texture, where: npt.NDArray[np.intp]) -> Field:
        """HU of some voxels (flat indices) inside the wall."""
        folds, grain = texture.folds.ravel()[where], texture.grain.ravel()[where]
        hu = np.float32(self.content_hu) + np.float32(self.rough_hu) * np.minimum(grain, np.float32(0.3))
        hu = np.where(folds < self.oral, np.float32(self.oral_hu), hu)
        return np.where(folds > self.gas, np.float32(_GAS_HU), hu).astype(np.float32)


@dataclass(frozen=True)
class Organs:
    """One case's organs.

    Attributes:
        palette: HU of every structure.
        fillings: of the parts of the bowel, by id.
        lungs: ids.
        vessel_hu: of the vessels in them.
        arteries: ids.
        plaque: arteries calcify where the lumps texture is above this.
        cartilage: ids of structures that may calcify at their rim.
        rim: costal cartilages calcify where the lumps texture is above this.
    """

    palette: Palette
    fillings: dict[int, Filling]
    lungs: tuple[int, ...]
    vessel_hu: float
    arteries: tuple[int, ...]
    plaque: float
    cartilage: tuple[int, ...]
    rim: float

    @classmethod
    def of(cls, person: Person, table: LabelTable) -> Organs:
        """Draw the organs of a case."""
        contrast = Contrast.of(person)
        bowel = {label.id: label.name for label in table.labels if label.name in _BOWEL}
        return cls(
            Palette.of(person, table, contrast),
            {id_: Filling.of(person, part) for id_, part in bowel.items()},
            _ids(table, "lung"),
            30.0 + 0.5 * contrast.blood_hu,
            tuple(id_ for stem in _ARTERIES for id_ in _ids(table, stem)),
            person.between("plaque", 0.4, 2.0),
            _ids(table, "costal_cartilages"),
            person.between("rim", 0.0, 1.5),
        )

    def paint(self, hu: Field, structure: Array, depth_mm: Field, texture: Texture) -> None:
        """Paint every labelled structure over ``hu``, bones as if they were soft, too."""
        inside = structure != 0
        soft = self.palette.hu[structure] + self.palette.ripple[structure] * texture.lumps
        np.copyto(hu, soft, where=inside)
        for id_, filling in self.fillings.items():
            lumen = np.flatnonzero((structure == id_) & (depth_mm > filling.wall_mm))
            np.put(hu, lumen, filling.hu(texture, lumen))
        vessels = np.isin(structure, self.lungs) & (texture.lumps + texture.grain > 1.0)
        np.copyto(hu, np.float32(self.vessel_hu), where=vessels)
        plaques = np.isin(structure, self.arteries) & (depth_mm < 2.0) & (texture.lumps > self.plaque)
        np.copyto(hu, np.float32(600.0), where=plaques)
        rims = np.isin(structure, self.cartilage) & (depth_mm < 1.5) & (texture.lumps > self.rim)
        np.copyto(hu, np.float32(320.0), where=rims)


def _ids(table: LabelTable, stem: str) -> tuple[int, ...]:
    return tuple(label.id for label in table.labels if label.name.startswith(stem))
