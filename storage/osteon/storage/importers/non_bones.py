"""Structures that segmentation tools name beside the bones: they become background, and that is recorded.

Names as TotalSegmentator spells them (versions 1 and 2, all tasks that share files with bones), sides left off.
"""

from __future__ import annotations

_WITHOUT_SIDE = (
    "aorta", "background", "body", "body_extremities", "body_trunc", "brachiocephalic_trunk", "brain", "colon",
    "costal_cartilages", "duodenum", "esophagus", "face", "gallbladder", "heart", "heart_myocardium",
    "inferior_vena_cava", "intermuscular_fat", "intervertebral_discs", "liver", "liver_tumor", "liver_vessels",
    "lung", "lung_nodules", "lung_trachea_bronchia", "lung_vessels", "muscle", "pancreas", "pericardial_effusion",
    "pleural_effusion", "portal_vein_and_splenic_vein", "prostate", "pulmonary_artery", "pulmonary_vein", "skin",
    "skeletal_muscle", "small_bowel", "spinal_canal", "spinal_cord", "spleen", "stomach", "subcutaneous_fat",
    "superior_vena_cava", "thyroid_gland", "torso_fat", "trachea", "urinary_bladder",
)  # fmt: skip

_WITH_SIDE = (
    "adrenal_gland", "atrial_appendage", "autochthon", "brachiocephalic_vein", "common_carotid_artery",
    "deltoid", "gluteus_maximus", "gluteus_medius", "gluteus_minimus", "heart_atrium", "heart_ventricle",
    "iliac_artery", "iliac_vena", "iliopsoas", "infraspinatus", "kidney", "kidney_cyst", "lung", "lung_lower_lobe",
    "lung_upper_lobe", "pectoralis_major", "pectoralis_minor", "quadriceps_femoris", "sartorius",
    "serratus_anterior", "subclavian_artery", "subscapularis", "supraspinatus", "thigh_medial_compartment",
    "thigh_posterior_compartment", "trapezius",
)  # fmt: skip

NON_BONES = frozenset(
    [*_WITHOUT_SIDE, "lung_middle_lobe_right", *(f"{n}_{side}" for n in _WITH_SIDE for side in ("left", "right"))]
)
"""Canonical names that no label table takes up."""
