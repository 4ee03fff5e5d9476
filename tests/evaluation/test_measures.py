import csv
import io

import numpy as np
import pytest

from osteon.evaluation.measures import BoneMeasures, CortexMeasures, HuMeasures, SubjectMeasures, to_csv


@pytest.fixture
def bone() -> BoneMeasures:
    return BoneMeasures(
        id=7,
        name="hip_left",
        voxels=10,
        volume_mm3=100 / 3,
        surface_mm2=40.0,
        centroid_mm=(1.0, 2.0, 3.0),
        box_min_mm=(0.0, 1.0, 2.0),
        box_max_mm=(2.0, 3.0, 4.0),
        is_cut_off=False,
        is_watertight=True,
        hu=None,
        cortex=None,
    )


def test_thickness_is_weighted_by_area() -> None:
    cortex = CortexMeasures.of(np.array([1.0, 3.0, 5.0, np.nan]), np.array([1.0, 2.0, 1.0, 4.0]))

    assert cortex.mean_mm == 3.0
    assert cortex.sd_mm == pytest.approx(np.std([1, 3, 3, 5]))
    assert cortex.median_mm == 3.0
    assert cortex.measured_share == 0.5


def test_no_thickness_anywhere_is_none() -> None:
    cortex = CortexMeasures.of(np.array([np.nan, np.nan]), np.array([1.0, 2.0]))

    assert (cortex.mean_mm, cortex.sd_mm, cortex.median_mm, cortex.measured_share) == (None, None, None, 0.0)


def test_hu_statistics_do_not_overflow() -> None:
    hu = HuMeasures.of(np.full(100_000, 3000, np.int16))

    assert (hu.mean, hu.sd, hu.median) == (3000, 0, 3000)


def test_the_table_has_a_column_for_every_number(bone: BoneMeasures) -> None:
    hu = HuMeasures(mean=1.0, sd=2.0, median=3.0, p05=4.0, p95=5.0)
    cortex = CortexMeasures(mean_mm=1.5, sd_mm=0.5, median_mm=None, measured_share=0.25)
    full = bone.model_copy(update={"name": "sacrum", "hu": hu, "cortex": cortex})
    subjects = [
        SubjectMeasures(subject="a", source="a.nrrd", cortex_hu=None, bones=(bone,)),
        SubjectMeasures(subject="b", source="b.nrrd", cortex_hu=600, bones=(full,)),
    ]

    first, second = csv.DictReader(io.StringIO(to_csv(subjects)))

    assert (first["subject"], first["name"], first["volume_mm3"]) == ("a", "hip_left", "33.3333")
    assert (first["centroid_z_mm"], first["box_min_y_mm"], first["box_max_x_mm"]) == ("1.0", "1.0", "4.0")
    assert (first["hu_mean"], first["cortex_mean_mm"]) == ("", "")
    assert (second["subject"], second["hu_p95"], second["cortex_mean_mm"]) == ("b", "5.0", "1.5")
    assert (second["cortex_median_mm"], second["cortex_measured_share"]) == ("", "0.25")
    assert "hu" not in first


def test_no_bones_make_an_empty_table() -> None:
    assert to_csv([]) == "\n"
