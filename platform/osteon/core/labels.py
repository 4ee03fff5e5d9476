"""The bones: one fixed id per bone, names as TotalSegmentator spells them, and tables made of them.

A dataset always stores these ids, whatever numbers its source used; a model numbers only the bones it was trained on.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadInput

BACKGROUND = 0
_TONES = ((0.9, 0.95), (0.35, 1.0), (0.8, 0.6), (0.7, 0.95), (0.3, 0.8), (0.95, 0.7))
FIRST_CUSTOM_ID = 200  # ids of labels that are not in the bone table, in order of first mention


@dataclass(frozen=True)
class Label:
    """One class of a label array.

    Attributes:
        id: value in the array, 1 to 65535.
        name: canonical name, for example ``vertebrae_L3`` or ``femur_left``.
    """

    id: int
    name: str

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """A colour that neighbouring bones do not share.

        Hues go round by the golden angle; ids a Fibonacci number apart would nearly meet again (vertebra T11 and its
        rib, sacrum and hip), so saturation and brightness go round by six, which divides none of 8, 13, 21, 34, 55, 89.
        """
        saturation, value = _TONES[self.id % len(_TONES)]
        red, green, blue = colorsys.hsv_to_rgb(self.id * 0.618034 % 1.0, saturation, value)
        return (round(255 * red), round(255 * green), round(255 * blue), 255)

    @property
    def color(self) -> str:
        """The same as the web writes it: ``#rrggbb``."""
        return f"#{bytes(self.rgba[:3]).hex()}"


@dataclass(frozen=True)
class LabelTable:
    """Labels in order of id, without the background."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        ids = [label.id for label in self.labels]
        if ids != sorted(set(ids)) or (ids and ids[0] <= BACKGROUND):
            raise BadInput("label-ids", f"label ids must be positive, unique and in order, not {ids}")

    @classmethod
    def of(cls, names: Mapping[int, str]) -> LabelTable:
        """The table of an id-to-name mapping, in order of id."""
        return cls(tuple(Label(id_, names[id_]) for id_ in sorted(names)))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def names(self) -> dict[int, str]:
        """Name by id."""
        return {label.id: label.name for label in self.labels}

    @cached_property
    def ids(self) -> dict[str, int]:
        """Id by name."""
        return {label.name: label.id for label in self.labels}

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The smallest unsigned type that holds the ids."""
        return np.dtype(np.uint8 if not self.labels or self.labels[-1].id <= 255 else np.uint16)

    def subset(self, ids: Iterable[int]) -> LabelTable:
        """The labels whose id is among ``ids``."""
        wanted = set(ids)
        return LabelTable(tuple(label for label in self.labels if label.id in wanted))

    def mirrored(self) -> dict[int, int]:
        """For every id the id of the same bone on the other side (itself, if it has no side or no twin here)."""
        return {label.id: self.ids.get(other_side(label.name), label.id) for label in self.labels}

    def class_of(self) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """A lookup from label id to the model's class 1…n in table order; ids not in the table give 0."""
        lookup = np.zeros(self.labels[-1].id + 1 if self.labels else 1, dtype=np.uint16)
        for number, label in enumerate(self.labels, start=1):
            lookup[label.id] = number
        return lookup.astype(self.dtype)

    def id_of_class(self) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """The inverse of `class_of`: from class 0…n to label id."""
        return np.array([BACKGROUND, *(label.id for label in self.labels)], dtype=self.dtype)


def other_side(name: str) -> str:
    """The name of the same bone on the other side of the body."""
    swap = {"left": "right", "right": "left"}
    return re.sub(r"(?<![a-z])(left|right)(?![a-z])", lambda match: swap[match.group()], name)


def _sided(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("left", "right")]


def _bone_names() -> list[str]:
    spine = [f"vertebrae_{region}{k}" for region, n in (("C", 7), ("T", 13), ("L", 6)) for k in range(1, n + 1)]
    ribs = [f"rib_{side}_{k}" for side in ("left", "right") for k in range(1, 13)]
    arm = _sided("clavicula", "scapula", "humerus", "radius", "ulna")
    wrist = _sided("scaphoid", "lunate", "triquetrum", "pisiform", "trapezium", "trapezoid", "capitate", "hamate")
    leg = _sided("hip", "femur", "patella", "tibia", "fibula")
    ankle = _sided(
        "talus", "calcaneus", "navicular", "cuboid", "cuneiform_medial", "cuneiform_intermediate", "cuneiform_lateral"
    )
    rays = [
        f"{part}_{side}_{k}" for part in ("metacarpal", "metatarsal") for side in ("left", "right") for k in range(1, 6)
    ]
    phalanges = _sided("phalanges_hand", "phalanges_foot")
    return [
        "skull", "mandible", "hyoid", *spine, "sacrum", "vertebrae_S1", "coccyx", "sternum", *ribs,
        *arm, *wrist, *leg, *ankle, *rays, *phalanges,
    ]  # fmt: skip


BONES = LabelTable.of(dict(enumerate(_bone_names(), start=1)))
"""Every bone Osteon knows, ids from 1; the order is fixed for ever, new bones go to the end."""

_ALIASES = {
    "clavicle_left": "clavicula_left",
    "clavicle_right": "clavicula_right",
    "hip_bone_left": "hip_left",
    "hip_bone_right": "hip_right",
    "cranium": "skull",
}


def canonical_name(name: str) -> str:
    """The table's spelling of a bone's name: ``vertebra L3``, ``Femur-Left`` and ``left_femur`` are understood."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    plain = re.sub(r"^(left|right)_(.+)$", r"\2_\1", plain)
    plain = re.sub(r"^vertebra[e]?_([ctls]\d+)$", lambda match: f"vertebrae_{match.group(1).upper()}", plain)
    plain = re.sub(r"^rib_(\d+)_(left|right)$", r"rib_\2_\1", plain)
    return _ALIASES.get(plain, plain)


def table_for(names: Iterable[str]) -> LabelTable:
    """The bones among ``names`` with their fixed ids; other names follow from `FIRST_CUSTOM_ID` on, in order."""
    known, custom = {}, []
    for name in dict.fromkeys(canonical_name(name) for name in names):
        if name in BONES.ids:
            known[BONES.ids[name]] = name
        else:
            custom.append(name)
    return LabelTable.of(known | dict(enumerate(custom, start=FIRST_CUSTOM_ID)))
