"""nnU-Net's rules: the plans it published, and those that its own planner makes where it is installed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteon.core.geometry import Index3, Vector3
from osteon.recipes.nnunet_plan import Plan, plan, target_spacing, topology_of

THREE = (3, 3, 3)
TWO = (2, 2, 2)


@dataclass(frozen=True)
class Scans:
    """Scans of a made-up dataset, and for whom to plan."""

    spacings_mm: list[Vector3]
    shapes: list[Index3]
    num_classes: int = 3
    memory_gb: float = 8

    def plan(self) -> Plan:
        return plan(self.spacings_mm, self.shapes, self.num_classes, self.memory_gb)


TORSO = Scans([(1.0, 0.7676, 0.7676)] * 3 + [(5.0, 0.8, 0.8)], [(432, 512, 512)] * 3 + [(75, 512, 512)])
HEART = Scans([(10.0, 1.5625, 1.5625)] * 8 + [(5.0, 1.4, 1.4)] * 2, [(9, 256, 216)] * 8 + [(18, 256, 216)] * 2, 4)
PROSTATE = Scans([(3.6, 0.625, 0.625)] * 3, [(20, 320, 320)] * 3)
SMALL = Scans([(1.0, 1.0, 1.0)] * 20, [(36, 50, 35)] * 20)
MANY_SMALL = Scans([(1.0, 1.0, 1.0)] * 400, [(36, 50, 35)] * 400)
SAGITTAL = Scans([(0.6, 0.6, 3.3)] * 30, [(512, 300, 60)] * 30, num_classes=26, memory_gb=16)
ALL = [TORSO, HEART, PROSTATE, SMALL, MANY_SMALL, SAGITTAL]


def test_torso_scans_give_the_isotropic_patch_that_nnunet_published() -> None:
    made = TORSO.plan()
    assert made.spacing_mm == (1.0, 0.7676, 0.7676)
    assert made.topology.patch_shape == (128, 128, 128)
    assert made.topology.strides == ((1, 1, 1), *[TWO] * 5)
    assert made.topology.kernels == (THREE,) * 6
    assert made.topology.channels == (32, 64, 128, 256, 320, 320)
    assert made.batch_size == 2
    assert made.batch_dice  # a patch is a fiftieth of a scan


def test_thick_slices_give_the_flat_patch_that_nnunet_published() -> None:
    """20 x 320 x 256 for the prostate, 20 x 256 x 224 for the heart (Isensee et al. 2021, supplementary note 6)."""
    made = PROSTATE.plan()
    assert made.topology.patch_shape == (20, 320, 256)
    flat, deep = (1, 2, 2), (1, 3, 3)
    assert made.topology.strides == ((1, 1, 1), flat, flat, TWO, TWO, flat, flat)
    assert made.topology.kernels == (deep, deep, *[THREE] * 5)
    assert not made.batch_dice
    assert HEART.plan().topology.patch_shape == (20, 256, 224)


def test_few_coarse_planes_are_resampled_to_the_finer_scans() -> None:
    assert target_spacing(HEART.spacings_mm, HEART.shapes).tolist() == [5.0, 1.5625, 1.5625]


def test_an_axis_is_never_resampled_below_the_others() -> None:
    spacings: list[Vector3] = [(10.0, 1.0, 1.0)] * 8 + [(0.5, 1.0, 1.0)] * 2
    assert target_spacing(spacings, [(9, 256, 256)] * 10).tolist() == [1.0 + 1e-5, 1.0, 1.0]


def test_coarse_axis_with_many_voxels_keeps_its_median() -> None:
    assert target_spacing([(5.0, 1.0, 1.0)] * 3, [(200, 256, 256)] * 3).tolist() == [5.0, 1.0, 1.0]


def test_batch_takes_the_memory_that_small_scans_leave_but_at_most_a_twentieth_of_the_data() -> None:
    assert SMALL.plan().batch_size == 2
    assert MANY_SMALL.plan().batch_size == 14


def test_more_memory_never_gives_a_smaller_patch() -> None:
    sizes = [np.prod(plan(TORSO.spacings_mm, TORSO.shapes, 3, gb).topology.patch_shape) for gb in (4, 8, 16, 40)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_patch_is_whole_strides_and_bottleneck_at_least_four_voxels() -> None:
    for scans in ALL:
        topology = scans.plan().topology
        left = np.array(topology.patch_shape) / topology.multiple
        assert (left == left.round()).all()
        assert (left >= 4).all()


def test_axes_are_planned_alike_in_any_order() -> None:
    turned = Scans([(b, c, a) for a, b, c in SAGITTAL.spacings_mm], [(b, c, a) for a, b, c in SAGITTAL.shapes], 26, 16)
    assert turned.plan().topology == SAGITTAL.plan().topology.permuted((1, 2, 0))


def test_an_axis_alone_is_halved_only_with_voxels_to_spare() -> None:
    spacing = np.ones(3)
    assert topology_of(spacing, (8, 4, 4)).strides == ((1, 1, 1),)
    assert topology_of(spacing, (12, 4, 4)).strides == ((1, 1, 1), (2, 1, 1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scans", ALL)
def test_plan_is_that_of_nnunets_own_planner(scans: Scans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dynamic_network_architectures", reason="nnU-Net is installed by `make bench` only")
    theirs, made = _theirs(scans, tmp_path, monkeypatch), scans.plan()
    network = theirs["architecture"]["arch_kwargs"]
    np.testing.assert_allclose(made.spacing_mm, theirs["spacing"])
    assert made.topology.patch_shape == tuple(theirs["patch_size"])
    assert made.topology.strides == tuple(map(tuple, network["strides"]))
    assert made.topology.kernels == tuple(map(tuple, network["kernel_sizes"]))
    assert made.topology.channels == tuple(network["features_per_stage"])
    assert made.batch_size == theirs["batch_size"]
    assert made.batch_dice == theirs["batch_dice"]


def _theirs(scans: Scans, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The plan of nnU-Net 2.8's default planner, its axes put back to z, y, x."""
    module = pytest.importorskip("nnunetv2.experiment_planning.experiment_planners.default_experiment_planner")
    (folder / "D").mkdir()
    described = {
        "channel_names": {"0": "CT"},
        "labels": {str(number): number for number in range(scans.num_classes)},
        "numTraining": len(scans.shapes),
    }
    found = {
        "spacings": scans.spacings_mm,
        "shapes_after_crop": scans.shapes,
        "median_relative_size_after_cropping": 1.0,
        "foreground_intensity_properties_per_channel": {},
    }
    (folder / "D" / "dataset.json").write_text(json.dumps(described))
    (folder / "D" / "dataset_fingerprint.json").write_text(json.dumps(found))
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setattr(module, name, str(folder))
    monkeypatch.setattr(module, "maybe_convert_to_dataset_name", lambda name: name)
    monkeypatch.setattr(module, "get_filenames_of_train_images_and_targets", lambda *_: {})
    monkeypatch.setattr(module.shutil, "copy", lambda *_: None)
    monkeypatch.setattr(module.ExperimentPlanner, "determine_reader_writer", lambda _: int)
    plans = module.ExperimentPlanner("D", gpu_memory_target_in_gb=scans.memory_gb).plan_experiment()
    full, axes = plans["configurations"]["3d_fullres"], plans["transpose_backward"]
    network = full["architecture"]["arch_kwargs"]
    for holder, key in ((full, "spacing"), (full, "patch_size")):
        holder[key] = [holder[key][axis] for axis in axes]
    for key in ("strides", "kernel_sizes"):
        network[key] = [[level[axis] for axis in axes] for level in network[key]]
    return dict(full)
