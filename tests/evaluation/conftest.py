"""Label volumes that several test modules of this room share."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.scores import CaseScores
from osteon.evaluation.summary import Report, RunFacts, summarise
from osteon.evaluation.trials import CurvePoint, TrialResult


@pytest.fixture
def table() -> LabelTable:
    return LabelTable.of({3: "sacrum", 7: "hip_left", 8: "hip_right", 300: "plate"})


@pytest.fixture
def blobs() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A prediction and a reference of classes 1 … 5 with ragged surfaces, some of them cut off by the border."""
    random = np.random.default_rng(5)
    z, y, x = np.ogrid[:18, :26, :22]
    reference = np.zeros((18, 26, 22), dtype=np.uint8)
    for number in range(1, 6):
        center, radius = random.uniform(2, 16, 3), random.uniform(3, 6)
        reference[(z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 < radius**2] = number
    prediction = np.roll(reference, (1, 0, 2), axis=(0, 1, 2))
    prediction[random.random(prediction.shape) < 0.02] = 2
    return prediction, reference


@pytest.fixture
def oblique() -> Grid:
    """40 voxels of 1 x 0.8 x 0.8 mm along axes that are turned about all three patient axes, away from the origin."""
    (a, b, c), (d, e, f), (g, h, i) = Rotation.from_euler("zyx", (20, -35, 50), degrees=True).as_matrix().tolist()
    return Grid((40, 44, 46), (1.0, 0.8, 0.8), (-310.0, 55.0, 120.0), (a, b, c, d, e, f, g, h, i))


@pytest.fixture
def evaluate(table: LabelTable) -> Callable[[Mapping[str, int]], Report]:
    """Evaluates cases of which n of the sacrum's eight columns were found: Dice 2 n / (8 + n); the hip is right."""

    def score(case_id: str, found: int) -> CaseScores:
        grid = Grid((4, 8, 8))
        reference, prediction = np.zeros((2, *grid.shape), dtype=np.uint8)
        reference[1:3, :2], prediction[1:3, :2, :found] = 3, 3
        reference[1:3, 4:6], prediction[1:3, 4:6] = 7, 7
        return compare_labels(prediction, reference, grid, table, case_id=case_id)

    def evaluate(found: Mapping[str, int]) -> Report:
        facts = RunFacts(
            model="model",
            model_digest="ab" * 32,
            recipe="tiny",
            dataset="ward",
            dataset_url="s3://archive/ward",
            split="named",
            seen_in_training=(),
            unreadable={},
            backend="torch",
            started="2026-01-02T03:04:05Z",
            seconds=dict.fromkeys(found, 0.25),
            num_parameters=1_500_000,
            unscored_model_bones=(),
            unscored_dataset_bones=(),
            versions={},
            machine="test machine",
        )
        return summarise([score(case_id, each) for case_id, each in found.items()], facts)

    return evaluate


@pytest.fixture
def trial(evaluate: Callable[[Mapping[str, int]], Report]) -> Callable[..., TrialResult]:
    """A done trial of half an hour on two processors and half a GPU, by what was found in its cases; or as told."""

    def trial(
        configuration: str, loss: str, patch: str, fold: int, found: Mapping[str, int] | None, **others: object
    ) -> TrialResult:
        values = {
            "configuration": configuration,
            "values": {"loss.kind": loss, "sampling.patch_shape": patch},
            "recipe": "tiny",
            "fold": fold,
            "repeat": 0,
            "status": "done",
            "error": None,
            "dice": 0.5,
            "steps": 300,
            "seconds": 1800.0,
            "cpus": 2.0,
            "gpus": 0.5,
            "curve": tuple(
                CurvePoint(step=step, loss=1 / (1 + step / 100) + fold / 50, dice=step / 400 + fold / 20)
                for step in (100, 200, 300)
            ),
            "report": evaluate(found) if found is not None else None,
        }
        return TrialResult.model_validate(values | others)

    return trial
