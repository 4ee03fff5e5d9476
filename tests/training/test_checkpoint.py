"""Checkpoints: whole or not there, the newest whole one is found, the best are kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from osteon.core.errors import CorruptData
from osteon.storage.stores import open_store
from osteon.training.checkpoint import Checkpoints
from osteon.training.trainer import Trainer

NewTrainer = Callable[..., Trainer]


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(open_store(str(tmp_path / "checkpoints")))


def state(number: int) -> dict[str, Any]:
    return {"step": number, "weights": torch.full((3,), float(number))}


def folder(checkpoints: Checkpoints, step: int) -> Path:
    assert checkpoints.store.local_path is not None
    return checkpoints.store.local_path / f"step-{step:09d}"


def test_state_comes_back_as_it_was(checkpoints: Checkpoints, new_trainer: NewTrainer) -> None:
    trainer = new_trainer(ema_decay=0.9)
    manifest = checkpoints.save(trainer.state_dict(), step=0, dice=0.5)
    fresh = new_trainer(ema_decay=0.9)
    with torch.no_grad():
        fresh.network.head.weight.zero_()
    fresh.load_state_dict(checkpoints.load(manifest))
    assert torch.equal(fresh.network.head.weight, trainer.network.head.weight)


def test_newest_is_found_by_step(checkpoints: Checkpoints) -> None:
    for step in (9, 100, 20):
        checkpoints.save(state(step), step=step, dice=None)
    found = checkpoints.latest()
    assert found is not None
    assert (found[0].step, found[1]["step"]) == (100, 100)


def test_nothing_is_found_in_an_empty_folder(checkpoints: Checkpoints) -> None:
    assert checkpoints.latest() is None
    assert checkpoints.best() is None


def test_a_checkpoint_without_manifest_does_not_exist(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(1), step=1, dice=None)
    checkpoints.save(state(2), step=2, dice=None)
    (folder(checkpoints, 2) / "manifest.json").unlink()
    assert [manifest.step for manifest in checkpoints.manifests()] == [1]
    found = checkpoints.latest()
    assert found is not None
    assert found[1]["step"] == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_torn_checkpoint_is_passed_over(checkpoints: Checkpoints, damage: str) -> None:
    checkpoints.save(state(1), step=1, dice=0.1)
    checkpoints.save(state(2), step=2, dice=0.2)
    path = folder(checkpoints, 2) / "state.pt"
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if damage == "flip" else data[:-7])
    with pytest.warns(RuntimeWarning, match="torn-checkpoint"):
        found = checkpoints.latest()
    assert found is not None
    assert found[1]["step"] == 1
    with pytest.warns(RuntimeWarning, match="torn-checkpoint"):
        best = checkpoints.best()
    assert best is not None
    assert best[1]["step"] == 1


def test_a_half_written_manifest_does_not_count(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(1), step=1, dice=None)
    checkpoints.save(state(2), step=2, dice=None)
    path = folder(checkpoints, 2) / "manifest.json"
    path.write_bytes(path.read_bytes()[:20])
    assert [manifest.step for manifest in checkpoints.manifests()] == [1]


def test_a_manifest_moved_to_another_step_does_not_count(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(1), step=1, dice=None)
    folder(checkpoints, 1).rename(folder(checkpoints, 7))
    assert checkpoints.manifests() == []


def test_load_names_the_torn_file(checkpoints: Checkpoints) -> None:
    manifest = checkpoints.save(state(1), step=1, dice=None)
    (folder(checkpoints, 1) / "state.pt").write_bytes(b"")
    with pytest.raises(CorruptData, match=r"state\.pt"):
        checkpoints.load(manifest)


def test_best_is_of_highest_dice_and_the_later_of_equals(checkpoints: Checkpoints) -> None:
    for step, dice in ((1, 0.7), (2, 0.9), (3, 0.9), (4, 0.8), (5, None)):
        checkpoints.save(state(step), step=step, dice=dice)
    best = checkpoints.best()
    assert best is not None
    assert best[0].step == 3


def test_best_is_the_newest_when_none_was_judged(checkpoints: Checkpoints) -> None:
    for step in (1, 2):
        checkpoints.save(state(step), step=step, dice=None)
    best = checkpoints.best()
    assert best is not None
    assert best[0].step == 2


def test_pruning_keeps_the_newest_two_and_the_best(checkpoints: Checkpoints) -> None:
    for step, dice in ((1, 0.5), (2, 0.9), (3, 0.6), (4, 0.7), (5, None), (6, None)):
        checkpoints.save(state(step), step=step, dice=dice)
    checkpoints.prune(keep_best=2)
    assert [manifest.step for manifest in checkpoints.manifests()] == [2, 4, 5, 6]
    checkpoints.prune(keep_best=1)
    assert [manifest.step for manifest in checkpoints.manifests()] == [2, 5, 6]


def test_pruning_removes_what_a_killed_writer_left_but_not_one_being_written(checkpoints: Checkpoints) -> None:
    for step in (1, 2, 3):
        checkpoints.save(state(step), step=step, dice=None)
    (folder(checkpoints, 2) / "manifest.json").unlink()
    folder(checkpoints, 4).mkdir()
    (folder(checkpoints, 4) / "state.pt").write_bytes(b"half")
    checkpoints.prune(keep_best=1)
    assert not folder(checkpoints, 2).exists()
    assert folder(checkpoints, 4).exists()
