from pathlib import Path

import pytest

from osteon.core.errors import BadInput, Conflict, CorruptData
from osteon.evaluation.folds import Fold, Folds
from osteon.jobs.sweep_folder import Outcome, SweepFolder, SweepRecord, TrialKey
from osteon.recipes.space import Configuration
from osteon.recipes.sweep import SweepSpec
from osteon.storage.stores import open_store

SPEC = SweepSpec.model_validate(
    {"name": "s", "recipe": "unet3d", "space": {"optim.learning_rate": [0.1]}, "repeats": 2}
)
FOLDS = Folds(("t",), (Fold(("a",), ("b",)), Fold(("b",), ("a",))), (0, 1))
RECORD = SweepRecord(
    spec=SPEC, dataset="d", dataset_url="u", test=("t",), folds=FOLDS.folds, chosen=FOLDS.chosen, labels={3: "sacrum"}
)


@pytest.fixture(params=["folder", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> SweepFolder:
    url = str(tmp_path) if request.param == "folder" else f"{request.getfixturevalue('s3_url')}/sweep"
    return SweepFolder(open_store(url))


def test_what_was_kept_is_read_back(folder: SweepFolder) -> None:
    folder.claim(RECORD, FOLDS)
    assert folder.record() == RECORD
    assert folder.configurations() == []
    kept = [
        Configuration(id=f"c{number:03d}", values={"a": number}, settings={"a": number}) for number in (10, 2, 1000)
    ]
    for configuration in kept:
        folder.add_configuration(configuration)
    assert [each.id for each in folder.configurations()] == ["c002", "c010", "c1000"]
    key = TrialKey(configuration="c002", repeat=1, fold=0)
    assert folder.outcome(key) is None
    assert folder.report(key) is None
    outcome = Outcome(status="done", dice=0.5, seconds=1.5, cpus=2, gpus=0.5)
    folder.write_outcome(key, outcome)
    assert folder.outcome(key) == outcome
    assert folder.run(key).store.url.endswith("trials/c002-r1-f0")


def test_a_folder_belongs_to_one_sweep(folder: SweepFolder) -> None:
    with pytest.raises(BadInput, match="no sweep was started here"):
        folder.record()
    folder.claim(RECORD, FOLDS)
    with pytest.raises(Conflict) as refused:
        folder.claim(RECORD, FOLDS)
    assert refused.value.code == "sweep-exists"


def test_damage_is_named(folder: SweepFolder) -> None:
    folder.claim(RECORD, FOLDS)
    folder.store.write_bytes("sweep.json", b'{"spec": 1}')
    with pytest.raises(CorruptData, match=r"sweep\.json is damaged at 'spec'"):
        folder.record()


def test_a_configuration_has_a_trial_for_every_fold_and_repeat() -> None:
    assert [key.name for key in RECORD.keys("c000")] == ["c000-f0", "c000-f1", "c000-r1-f0", "c000-r1-f1"]
    assert RECORD.learnt == ("a", "b")
