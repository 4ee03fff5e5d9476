"""What a preparing recipe is trained on: derived cases only, and both femurs of a patient on one side of the split."""

from collections.abc import Callable
from pathlib import Path

import pytest

from osteon.core.errors import BadInput
from osteon.jobs.prepare import PrepareRequest, prepare
from osteon.jobs.train_plan import plan_run
from osteon.recipes.recipe import Recipe, load_recipe
from osteon.storage.dataset import Dataset


def recipe(*overrides: str) -> Recipe:
    return load_recipe("unet3d", ("prepare.femurs=true", "prepare.spacing_mm=[1.5, 1.5, 1.5]", *overrides))


@pytest.fixture
def derived(tmp_path: Path, add_case: Callable[..., Dataset]) -> Dataset:
    for number in range(4):
        add_case(tmp_path / "source", f"p{number}", seed=number)
    prepare(
        PrepareRequest(str(tmp_path / "source"), str(tmp_path / "out"), recipe().prepare),
        scheduler="threads",
        num_workers=2,
    )
    return Dataset.open(str(tmp_path / "out"))


def test_femurs_of_one_patient_are_drawn_together(derived: Dataset) -> None:
    for seed in range(6):
        record = plan_run(recipe(f"training.seed={seed}", "training.validation_share=0.5"), derived).record
        assert len(record.validation) == len(record.training) == 4
        patients = [{case_id.partition("-")[0] for case_id in side} for side in (record.training, record.validation)]
        assert not patients[0] & patients[1]


def test_scans_as_they_came_are_refused_with_the_command_that_prepares_them(derived: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"osteon prepare .*source OUT --recipe unet3d") as refusal:
        plan_run(recipe(), Dataset.open(str(tmp_path / "source")))
    assert refusal.value.code == "not-prepared"
    with pytest.raises(BadInput) as refusal:
        plan_run(recipe("prepare.margin_mm=3"), derived)
    assert refusal.value.code == "other-preparation"
