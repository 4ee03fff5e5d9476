import pytest

from osteon.core.labels import table_for
from osteon.data.phantom.person import Person
from osteon.data.synthesis.tissue import Contrast, Palette, tissue_of

TABLE = table_for(["aorta", "inferior_vena_cava", "kidney_left", "kidney_right", "urinary_bladder", "liver", "unheard"])
WITHOUT, EARLY, LATE = Contrast(0.0, False, 0.0), Contrast(300.0, True, 0.0), Contrast(150.0, False, 500.0)


def _hu(contrast: Contrast, case: int = 0) -> dict[str, float]:
    palette = Palette.of(Person(3, case), TABLE, contrast)
    return {name: float(palette.hu[id_]) for name, id_ in TABLE.ids.items()}


def test_contrast_agent_makes_vessels_and_kidneys_as_bright_as_bone() -> None:
    plain, early, late = _hu(WITHOUT), _hu(EARLY), _hu(LATE)

    assert all(-30.0 < hu < 80.0 for hu in plain.values())
    assert early["aorta"] == pytest.approx(plain["aorta"] + 300.0)
    assert early["aorta"] - early["inferior_vena_cava"] > 150.0 > abs(late["aorta"] - late["inferior_vena_cava"])
    assert late["kidney_left"] > 150.0
    assert late["urinary_bladder"] > 480.0 > early["urinary_bladder"]


def test_both_sides_are_alike_but_not_equal() -> None:
    hu = _hu(WITHOUT)

    assert 0 < abs(hu["kidney_left"] - hu["kidney_right"]) < 12.0


def test_all_phases_are_drawn() -> None:
    drawn = [Contrast.of(Person(3, case)) for case in range(60)]

    assert 12 < sum(each.blood_hu == 0.0 for each in drawn) < 36
    assert 4 < sum(each.is_arterial for each in drawn) < 24
    assert max(each.blood_hu for each in drawn) <= 360.0


def test_a_part_of_an_organ_is_that_tissue() -> None:
    assert tissue_of("lung_lower_lobe_left")[0] == "lung"
    assert tissue_of("kidney_cyst_left")[0] == "kidney_cyst"
    assert tissue_of("unheard")[0] == "unheard"
