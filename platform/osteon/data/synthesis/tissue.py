"""What soft tissue looks like on a CT: HU by structure, what contrast agent adds, and one case's draw of both.

Ranges without contrast agent: Prokop and Galanski, Spiral and Multislice Computed Tomography of the Body (2003):
lung -910 to -850 (wider here: breathing out), fat -100 to -50, kidney 20 to 40, spleen 35 to 55, blood and liver 45
to 65; widened at the lower end, for fatty livers and muscles are common. Enhancement: Bae, Radiology 256, 2010: aorta
up to 400 HU in the arterial phase and 100 to 180 in the portal venous phase, liver about 50 then. The shares of each
organ, the frequencies and what is not named here are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from osteon.core.labels import LabelTable
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field


class Tissue(NamedTuple):
    """One kind of tissue.

    Attributes:
        low: HU without contrast agent, the lowest mean of a structure.
        high: the highest.
        arterial: share of the aorta's enhancement that it takes up in the arterial phase.
        venous: the same in the portal venous phase.
        ripple: HU that its texture deviates by.
    """

    low: float
    high: float
    arterial: float = 0.1
    venous: float = 0.3
    ripple: float = 5.0


_ARTERY = Tissue(35.0, 55.0, 1.0, 1.0, 3.0)
_VEIN = Tissue(35.0, 55.0, 0.3, 0.95, 4.0)
_MUSCLE = Tissue(5.0, 62.0, 0.04, 0.12, 14.0)
_GUT = Tissue(20.0, 48.0, 0.15, 0.3, 8.0)
_LUNG = Tissue(-900.0, -720.0, 0.05, 0.1, 40.0)
_OTHER = Tissue(-20.0, 70.0, 0.15, 0.4, 8.0)

_TISSUES = {
    "aorta": _ARTERY,
    "brachiocephalic_trunk": _ARTERY,
    "common_carotid_artery": _ARTERY,
    "subclavian_artery": _ARTERY,
    "iliac_artery": _ARTERY,
    "pulmonary_artery": _ARTERY,
    "pulmonary_vein": _ARTERY,
    "atrial_appendage": _ARTERY,
    "heart": Tissue(30.0, 52.0, 0.7, 0.8, 8.0),
    "superior_vena_cava": Tissue(35.0, 55.0, 1.2, 0.95, 10.0),  # undiluted contrast agent runs in through it
    "brachiocephalic_vein": Tissue(35.0, 55.0, 1.2, 0.95, 10.0),
    "inferior_vena_cava": _VEIN,
    "iliac_vena": _VEIN,
    "portal_vein": _VEIN,
    "kidney_cyst": Tissue(-5.0, 18.0, 0.0, 0.0, 2.0),
    "kidney": Tissue(18.0, 42.0, 0.55, 1.25, 14.0),
    "spleen": Tissue(32.0, 58.0, 0.45, 0.75, 6.0),
    "liver": Tissue(15.0, 68.0, 0.1, 0.4, 6.0),
    "pancreas": Tissue(-5.0, 48.0, 0.35, 0.45, 14.0),
    "adrenal_gland": Tissue(-5.0, 35.0, 0.3, 0.4),
    "thyroid_gland": Tissue(60.0, 130.0, 0.4, 0.5),
    "gallbladder": Tissue(-5.0, 22.0, 0.0, 0.0, 3.0),
    "urinary_bladder": Tissue(-5.0, 20.0, 0.0, 0.0, 3.0),
    "prostate": Tissue(25.0, 50.0, 0.2, 0.4),
    "spinal_cord": Tissue(10.0, 45.0, 0.0, 0.0),
    "brain": Tissue(22.0, 42.0, 0.0, 0.05),
    "esophagus": _GUT,
    "stomach": _GUT,
    "duodenum": _GUT,
    "small_bowel": _GUT,
    "colon": _GUT,
    "trachea": Tissue(-1000.0, -960.0, 0.0, 0.0, 5.0),
    "lung": _LUNG,
    "costal_cartilages": Tissue(70.0, 140.0, 0.0, 0.05, 18.0),
    "gluteus": _MUSCLE,
    "autochthon": _MUSCLE,
    "iliopsoas": Tissue(25.0, 65.0, 0.04, 0.12, 9.0),
    "intervertebral_discs": Tissue(60.0, 120.0, 0.0, 0.05, 10.0),
    "subcutaneous_fat": Tissue(-115.0, -85.0, 0.0, 0.0, 6.0),
    "torso_fat": Tissue(-115.0, -80.0, 0.0, 0.0, 8.0),
}
"""Tissue by how a structure's name begins; the first that fits."""


@dataclass(frozen=True)
class Contrast:
    """What contrast agent does to one case.

    Attributes:
        blood_hu: what it adds to blood in the aorta; 0 without any.
        is_arterial: whether the scan was taken early, before veins and organs take it up.
        urine_hu: what it adds to urine: late scans only.
    """

    blood_hu: float
    is_arterial: bool
    urine_hu: float

    @classmethod
    def of(cls, person: Person) -> Contrast:
        """None in two of five cases, an early phase in one, a venous phase in two."""
        draws = person.draws("phase")
        phase = draws.uniform(0.0, 5.0)
        if phase < 2.0:
            return cls(0.0, False, draws.uniform(100.0, 600.0) if draws.chance(0.08) else 0.0)
        if phase < 3.0:
            return cls(draws.uniform(130.0, 360.0), True, 0.0)
        return cls(draws.uniform(70.0, 170.0), False, draws.uniform(100.0, 600.0) if draws.chance(0.15) else 0.0)


@dataclass(frozen=True)
class Palette:
    """One case's HU, looked up by structure id.

    Attributes:
        hu: mean of each structure.
        ripple: how much its texture deviates.
    """

    hu: Field
    ripple: Field

    @classmethod
    def of(cls, person: Person, table: LabelTable, contrast: Contrast) -> Palette:
        """Draw the HU of every structure; both sides of a pair come out alike but not equal."""
        hu = np.zeros(table.labels[-1].id + 1, dtype=np.float32)
        ripple = np.zeros_like(hu)
        for label in table.labels:
            stem, tissue = tissue_of(label.name)
            uptake = tissue.arterial if contrast.is_arterial else tissue.venous
            mean = person.between(f"hu {stem}", tissue.low, tissue.high) + person.about(f"hu {label.name}", 6.0)
            urine = contrast.urine_hu if stem == "urinary_bladder" else 0.0
            hu[label.id] = mean + min(uptake * contrast.blood_hu, 420.0) + urine
            ripple[label.id] = tissue.ripple * person.between(f"ripple {stem}", 0.4, 1.4)
        return cls(hu, ripple)


def tissue_of(name: str) -> tuple[str, Tissue]:
    """How a structure's name begins in the list of tissues, and that tissue; its own name if there is none."""
    return next(((stem, tissue) for stem, tissue in _TISSUES.items() if name.startswith(stem)), (name, _OTHER))
