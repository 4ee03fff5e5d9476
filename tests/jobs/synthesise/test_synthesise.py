from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput, BadScan, Conflict
from osteon.jobs.label_sources import find_bodies
from osteon.jobs.synthesise import Synthesis, run_synthesis
from osteon.storage.dataset import Dataset

SPACING = (6.0, 6.0, 6.0)


@pytest.fixture
def plan(label_file: Path) -> Synthesis:
    return Synthesis(find_bodies(str(label_file)), 2, 5, SPACING)


def _voxels(url: Path) -> dict[str, tuple[bytes, bytes]]:
    dataset = Dataset.open(str(url))
    found = {}
    for case_id in dataset.case_ids():
        case = dataset.case(case_id)
        parts = [volume.read((0, 0, 0), volume.grid.shape).result() for volume in (case.image(), case.labels())]
        found[case_id] = (parts[0].tobytes(), parts[1].tobytes())
    return found


def test_the_dataset_is_whole_and_labelled(plan: Synthesis, tmp_path: Path) -> None:
    summary = run_synthesis(plan, str(tmp_path / "out"), num_workers=1)

    dataset = Dataset.open(str(tmp_path / "out"))
    assert [case.case_id for case in summary.cases] == dataset.case_ids() == ["synthetic-0000", "synthetic-0001"]
    assert set(summary.bones) == set(dataset.table.ids) == {"sacrum", "hip_left", "hip_right", "vertebrae_S1"}
    assert all(row.has_labels and row.source_format == "synthetic" for row in dataset.catalog())
    assert sum(dataset.case("synthetic-0000").foreground.counts.values()) > 0
    assert dataset.fingerprint().num_cases == 2


def test_the_same_call_changes_nothing_and_more_cases_go_on(plan: Synthesis, tmp_path: Path) -> None:
    run_synthesis(plan, str(tmp_path / "out"), num_workers=1)
    before = _voxels(tmp_path / "out")
    again = run_synthesis(replace(plan, cases=3), str(tmp_path / "out"), num_workers=1)

    assert [case.status for case in again.cases] == ["skipped", "skipped", "written"]
    assert before.items() <= _voxels(tmp_path / "out").items()


def test_workers_change_nothing(plan: Synthesis, tmp_path: Path) -> None:
    run_synthesis(plan, str(tmp_path / "one"), num_workers=1)
    run_synthesis(plan, str(tmp_path / "two"), num_workers=2)

    assert _voxels(tmp_path / "one") == _voxels(tmp_path / "two")


def test_masks_give_the_scans_of_the_label_map(plan: Synthesis, mask_folder: Path, tmp_path: Path) -> None:
    run_synthesis(plan, str(tmp_path / "map"), num_workers=1)
    run_synthesis(replace(plan, bodies=find_bodies(str(mask_folder))), str(tmp_path / "masks"), num_workers=1)

    assert _voxels(tmp_path / "map") == _voxels(tmp_path / "masks")


def test_another_seed_is_no_silent_replacement(plan: Synthesis, tmp_path: Path) -> None:
    run_synthesis(plan, str(tmp_path / "out"), num_workers=1)

    with pytest.raises(Conflict, match="other-source"):
        run_synthesis(replace(plan, seed=6), str(tmp_path / "out"), num_workers=1)


def test_chosen_and_merged_bones_are_labelled(plan: Synthesis, tmp_path: Path) -> None:
    some = replace(plan, bones=("sacrum",), merges={"vertebrae_S1": "sacrum"}, cases=1)
    run_synthesis(some, str(tmp_path / "out"), num_workers=1)
    run_synthesis(replace(plan, bones=("sacrum",), cases=1), str(tmp_path / "less"), num_workers=1)

    counts = [Dataset.open(str(tmp_path / name)).case("synthetic-0000").foreground.counts for name in ("out", "less")]
    assert counts[0].keys() == counts[1].keys()
    assert sum(counts[0].values()) > sum(counts[1].values())


def test_bodies_take_turns(label_file: Path, tmp_path: Path) -> None:
    one = find_bodies(str(label_file))
    both = Synthesis((*one, *one), 3, 5, SPACING)
    run_synthesis(both, str(tmp_path / "both"), num_workers=1)
    run_synthesis(Synthesis(one, 3, 5, SPACING), str(tmp_path / "one"), num_workers=1)

    assert _voxels(tmp_path / "both") == _voxels(tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cases": 0}, "synthesis-cases"),
        ({"seed": -1}, "synthesis-seed"),
        ({"spacing_mm": (3.0, -3.0, 3.0)}, "synthesis-spacing"),
        ({"bones": ("femur_left",)}, "unknown-bone"),
        ({"bones": ("liver",)}, "unknown-bone"),
    ],
)
def test_bad_choices_are_refused_before_anything_is_written(
    plan: Synthesis, tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(BadInput, match=code):
        run_synthesis(replace(plan, **change), str(tmp_path / "out"), num_workers=1)
    assert not (tmp_path / "out").exists()


def test_labels_that_cannot_be_read_stop_the_run(plan: Synthesis, label_file: Path, tmp_path: Path) -> None:
    label_file.write_bytes(label_file.read_bytes()[:-200])

    with pytest.raises(BadScan):
        run_synthesis(plan, str(tmp_path / "out"), num_workers=1)


@pytest.mark.realdata
def test_a_real_skeleton_can_be_synthesised(real_data: Path, tmp_path: Path) -> None:
    """24 bones at 3 mm, label map; the bones of the scan are those of its labels."""
    labels = real_data / "ts-abdomen-pelvis-nifti"
    bodies = find_bodies(str(labels / "label_v1_uint8.nii.gz"), labels / "labels_v1.json")
    summary = run_synthesis(Synthesis(bodies, 2, 0, (4.0, 4.0, 4.0)), str(tmp_path / "out"), num_workers=1)

    dataset = Dataset.open(summary.dataset)
    seen = {label for row in dataset.catalog() for label in row.labels}
    assert {"vertebrae_L3", "sacrum", "hip_left"} <= {dataset.table.names[label] for label in seen}
    assert "liver" not in dataset.table.ids


@pytest.mark.realdata
@pytest.mark.slow
def test_a_turned_real_body_stands_upright_with_its_sides_right(real_data: Path, tmp_path: Path) -> None:
    """117 masks whose grid is turned by 3.6 degrees: left is left, the spine runs up, organs are no labels."""
    bodies = find_bodies(str(real_data / "totalseg-s0327-labels-rotated"))
    plan = Synthesis(bodies, 2, 1, (6.0, 6.0, 6.0), merges={"vertebrae_S1": "sacrum"})
    dataset = Dataset.open(run_synthesis(plan, str(tmp_path / "out"), num_workers=1).dataset)

    assert "aorta" not in dataset.table.ids
    assert "vertebrae_S1" not in dataset.table.ids
    middles = [_middles(dataset, case_id) for case_id in dataset.case_ids()]
    for found in middles:
        for name in found:
            if "left" in name and (other := name.replace("left", "right")) in found:
                assert found[name][2] > found[other][2]
        spine = [
            found[name][0] for name in ("sacrum", "vertebrae_L3", "vertebrae_T12", "vertebrae_T4") if name in found
        ]
        assert spine == sorted(spine)
    assert max(map(len, middles)) > 40


def _middles(dataset: Dataset, case_id: str) -> dict[str, npt.NDArray[np.float64]]:
    """Mean index, z, y, x, of each bone in a case; of what is cut off by the edge, what is seen."""
    volume = dataset.case(case_id).labels()
    ids = volume.read((0, 0, 0), volume.grid.shape).result()
    return {name: np.argwhere(ids == id_).mean(axis=0) for name, id_ in dataset.table.ids.items() if (ids == id_).any()}
