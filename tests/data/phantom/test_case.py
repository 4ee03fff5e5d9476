import hashlib
import itertools
import os
import subprocess
import sys

import cc3d
import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import IDENTITY
from osteon.core.labels import BONES
from osteon.data.phantom import FIELDS_OF_VIEW, Phantom, phantom

GOLDEN = {
    "hu": "fd40c4b8e2bffb215a03ee05ad276222115d5d431c11fc90e90363cfda486432",
    "labels": "7bb046e2c06f78c23d722068af10f6dd311d4b184d864bf342bc252d3f02e26c",
}


def digests() -> dict[str, str]:
    made = phantom(5, 6, (40, 36, 52), (8.0, 8.0, 8.0), case=1)
    return {
        "hu": hashlib.sha256(made.hu.astype("<i2").tobytes()).hexdigest(),
        "labels": hashlib.sha256(made.labels.astype("u1").tobytes()).hexdigest(),
    }


def centres(made: Phantom) -> dict[str, npt.NDArray[np.float64]]:
    return {
        name: made.grid.position_mm(np.argwhere(made.labels == id_)).mean(axis=0)
        for id_, name in made.table.names.items()
    }


def test_the_voxels_are_the_same_on_every_machine() -> None:
    assert digests() == GOLDEN


def test_the_voxels_are_the_same_without_vector_instructions() -> None:
    """NumPy picks its loops by processor; what it can leave out, another processor may not have."""
    build = np.show_config(mode="dicts")
    assert build is not None
    found = build["SIMD Extensions"].get("found", [])
    code = f"import runpy; print(runpy.run_path({__file__!r})['digests']())"
    plain = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    shown = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(GOLDEN)


def test_cases_are_different_people() -> None:
    small = ((20, 18, 26), (16.0, 16.0, 16.0))
    first, second, other_seed = (phantom(seed, 6, *small, case=case) for seed, case in ((5, 0), (5, 1), (6, 0)))

    assert (first.labels != second.labels).any()
    assert (first.labels != other_seed.labels).any()


@pytest.mark.parametrize("bones", FIELDS_OF_VIEW)
def test_a_set_has_as_many_bones_as_it_says(bones: int) -> None:
    names = FIELDS_OF_VIEW[bones].names

    assert len(set(names)) == len(names) == bones
    assert set(names) <= set(BONES.ids)
    assert not set(names) & set(FIELDS_OF_VIEW[bones].unnamed)


@pytest.mark.parametrize("case", range(4))
def test_a_pelvis_shows_its_6_bones(case: int) -> None:
    made = phantom(21, case=case)

    assert made.hu.shape == made.labels.shape == made.grid.shape
    assert made.hu.dtype == np.int16
    assert made.grid.direction == IDENTITY
    counts = np.bincount(made.labels.ravel().astype(np.int64), minlength=256)
    assert set(np.flatnonzero(counts)) == {0, *made.table.names}
    assert all(counts[id_] > 200 for id_ in made.table.names)


def test_an_abdomen_shows_its_24_bones() -> None:
    made = phantom(21, 24)

    assert set(np.unique(made.labels)) == {0, *made.table.names}
    assert len(made.table) == 24


def test_a_body_shows_its_56_bones_each_in_one_piece(body: Phantom) -> None:
    assert set(np.unique(body.labels)) == {0, *body.table.names}
    assert len(body.table) == 56
    for id_, name in body.table.names.items():
        sizes = cc3d.statistics(cc3d.connected_components(body.labels == id_))["voxel_counts"][1:]
        assert sizes.max() >= 0.85 * sizes.sum(), name


def test_bones_lie_where_they_belong(body: Phantom) -> None:
    at = centres(body)
    spine = ["sacrum", "vertebrae_S1", *(f"vertebrae_L{k}" for k in range(5, 0, -1))]
    spine += [*(f"vertebrae_T{k}" for k in range(12, 0, -1)), "vertebrae_C7", "skull"]

    assert all(at[low][0] < at[high][0] for low, high in itertools.pairwise(spine))
    for name in at:
        if name.endswith("_left") or "_left_" in name:
            assert at[name][2] > at[name.replace("left", "right")][2] + 20.0, name
    assert at["sternum"][1] < at["vertebrae_T7"][1] - 80.0 < at["scapula_left"][1]
    assert at["femur_left"][0] < at["hip_left"][0] < at["vertebrae_L5"][0]


def test_bones_have_a_hard_shell_and_a_softer_core(pelvis: Phantom) -> None:
    femur = pelvis.labels == pelvis.table.ids["femur_left"]
    low = pelvis.hu[:8][femur[:8]]  # the shaft
    assert np.percentile(low, 90) > 700

    sacrum = pelvis.labels == pelvis.table.ids["sacrum"]
    assert 130 < np.median(pelvis.hu[sacrum]) < 330


def test_what_is_no_bone_looks_like_it(pelvis: Phantom, body: Phantom) -> None:
    soft = pelvis.hu[pelvis.labels == 0]
    histogram = {kind: float(((soft > low) & (soft < high)).mean()) for kind, (low, high) in TISSUES.items()}
    assert histogram["air"] > 0.2
    assert histogram["fat"] > 0.1
    assert histogram["muscle"] > 0.15
    assert histogram["bone"] < 0.02

    chest = body.hu[130:170]
    assert ((chest > -930) & (chest < -700)).mean() > 0.03


TISSUES = {"air": (-1100, -900), "fat": (-160, -50), "muscle": (10, 110), "bone": (300, 4000)}


def test_ribs_lie_outside_the_lungs(body: Phantom) -> None:
    for side in ("left", "right"):
        for number in range(2, 11):
            hu = body.hu[body.labels == body.table.ids[f"rib_{side}_{number}"]]
            assert np.percentile(hu, 20) > 50, f"rib_{side}_{number}"


def test_what_is_drawn_without_a_label_is_background(body: Phantom) -> None:
    """The neck and the jaw lie in view but are in no set: bright, and not labelled."""
    above = body.labels[185:215]
    unlabelled = body.hu[185:215][above == 0]

    assert (unlabelled > 400).sum() > 200


def test_another_grid_shows_the_same_person() -> None:
    fine, coarse = phantom(8), phantom(8, 6, (38, 36, 50), (8.0, 8.0, 8.0))

    assert coarse.hu.shape == (38, 36, 50)
    assert coarse.grid.spacing_mm == (8.0, 8.0, 8.0)
    for name in ("hip_left", "hip_right", "sacrum"):
        np.testing.assert_allclose(centres(fine)[name], centres(coarse)[name], atol=4.0)


@pytest.mark.parametrize(
    ("seed", "bones", "code"), [(0, 7, "phantom-bones"), (0, 0, "phantom-bones"), (-1, 6, "phantom-seed")]
)
def test_wrong_arguments_are_refused(seed: int, bones: int, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        phantom(seed, bones)

    assert refused.value.code == code
    assert str(bones if code == "phantom-bones" else seed) in refused.value.what
