"""What DICOM calls the bones: SNOMED CT concepts for the names of the label table. Knows names, no voxels.

Codes and meanings are those of the DICOM standard's context groups, as pydicom's dictionary ships them, but for the one
of the hip bone. Where the dictionary has no concept for a bone, the narrowest one that holds it stands, and the
segment's label says which bone it is: every rib is a rib, the thirteenth thoracic vertebra a vertebra.
"""

from __future__ import annotations

import re

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")

# DICOM's groups have the hip region (29836001) and the whole bony pelvis (118645006), but no hip bone. SNOMED CT has:
# code and name are those of the public concept map of the German Medical Informatics Initiative
# (mii-cm-onko-strahlentherapie-zielgebiet-sct, 6.15, "Innominate bone structure (body structure)").
_HIP_BONE = Code("28254004", "SCT", "Innominate bone")

_BONE: Code = codes.SCT.Bone
_SIDES: dict[str, Code] = {"left": codes.SCT.Left, "right": codes.SCT.Right}

_TYPES: dict[str, Code] = {
    "skull": codes.SCT.Skull,
    "mandible": codes.SCT.Mandible,
    "hyoid": codes.SCT.HyoidBone,
    "vertebrae": codes.SCT.Vertebra,
    **{
        f"vertebrae_{region}{number}": getattr(codes.SCT, f"{region}{number}Vertebra")
        for region, count in (("C", 7), ("T", 12), ("L", 5))
        for number in range(1, count + 1)
    },
    "sacrum": codes.SCT.Sacrum,
    "coccyx": codes.SCT.Coccyx,
    "sternum": codes.SCT.Sternum,
    "rib": codes.SCT.Rib,
    "clavicula": codes.SCT.Clavicle,
    "scapula": codes.SCT.Scapula,
    "humerus": codes.SCT.Humerus,
    "radius": codes.SCT.RadiusBone,
    "ulna": codes.SCT.Ulna,
    "scaphoid": codes.SCT.Scaphoid,
    **dict.fromkeys(
        ("lunate", "triquetrum", "pisiform", "trapezium", "trapezoid", "capitate", "hamate"),
        codes.SCT.BoneOfUpperLimb,
    ),
    "metacarpal": codes.SCT.Metacarpal,
    "phalanges_hand": codes.SCT.HandBone,
    "hip": _HIP_BONE,
    "femur": codes.SCT.Femur,
    "patella": codes.SCT.Patella,
    "tibia": codes.SCT.Tibia,
    "fibula": codes.SCT.Fibula,
    "talus": codes.SCT.Talus,
    "calcaneus": codes.SCT.Calcaneus,
    "navicular": codes.SCT.NavicularOfHindfoot,
    **dict.fromkeys(
        ("cuboid", "cuneiform_medial", "cuneiform_intermediate", "cuneiform_lateral", "metatarsal", "phalanges_foot"),
        codes.SCT.BoneOfLowerLimb,
    ),
}


def type_of(name: str) -> Code:
    """The SNOMED CT concept of a label's name, without its side; names that are not in the table are bone."""
    if name in _TYPES:
        return _TYPES[name]
    stem = re.sub(r"_(left|right|[TLS]?\d+)(?=_|$)", "", name)
    return _TYPES.get(stem, _BONE)


def side_of(name: str) -> Code | None:
    """The laterality of a label's name, if it has one."""
    side = re.search(r"(?<![a-z])(left|right)(?![a-z])", name)
    return _SIDES[side.group()] if side else None
