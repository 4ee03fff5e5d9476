import pytest

from osteon.jobs.sweep_folder import TrialKey
from osteon.jobs.sweep_race import Race, rungs_of
from osteon.recipes.sweep import SchedulerSpec
from osteon.training.plan import TrainingSpec


def keys(configuration: str, folds: int = 2) -> list[TrialKey]:
    return [TrialKey(configuration=configuration, repeat=0, fold=fold) for fold in range(folds)]


def run(race: Race, configuration: str, *dice: float) -> str:
    members = keys(configuration, len(dice))
    for key, value in zip(members, dice, strict=True):
        race.record(key, 0, value)
    return race.decide(configuration, 0, members)


def test_rungs_are_validations_inside_the_run() -> None:
    plan = TrainingSpec(steps=1000, validate_every=100)
    assert rungs_of(SchedulerSpec(kind="asha", grace=0.1, reduction=3), plan) == (100, 300, 900)
    assert rungs_of(SchedulerSpec(kind="asha", grace=0.12, reduction=2), plan) == (200, 300, 500)
    assert rungs_of(SchedulerSpec(kind="asha", grace=0.01, reduction=2), plan) == (100, 200, 400, 700)
    assert rungs_of(SchedulerSpec(kind="none"), plan) == ()
    assert rungs_of(SchedulerSpec(kind="median", grace=0.5), TrainingSpec(steps=50, validate_every=100)) == ()


def test_a_configuration_waits_for_all_its_folds() -> None:
    race = Race(SchedulerSpec(kind="asha"))
    first, second = keys("c000")
    race.record(first, 0, 0.5)
    assert race.decide("c000", 0, [first, second]) == "wait"
    race.record(second, 0, 0.5)
    assert race.decide("c000", 0, [first, second]) == "go on"


def test_a_failed_fold_is_not_waited_for() -> None:
    race = Race(SchedulerSpec(kind="asha"))
    first, _ = keys("c000")
    race.record(first, 0, 0.5)
    assert race.decide("c000", 0, [first]) == "go on"
    assert race.decide("c001", 0, []) == "wait"


def test_asha_keeps_the_best_share_of_the_means() -> None:
    race = Race(SchedulerSpec(kind="asha", reduction=2))
    assert run(race, "c000", 0.5, 0.5) == "go on"  # the first always
    assert run(race, "c001", 0.2, 0.4) == "stop"
    assert run(race, "c002", 0.1, 0.9) == "go on"  # by its mean, though a fold of it is the worst of all
    assert run(race, "c003", 0.49, 0.49) == "stop"
    assert run(race, "c004", 0.9, 0.9) == "go on"


def test_median_keeps_what_is_not_below_the_median_of_the_others() -> None:
    race = Race(SchedulerSpec(kind="median"))
    assert run(race, "c000", 0.5) == "go on"
    assert run(race, "c001", 0.4) == "stop"
    assert run(race, "c002", 0.45) == "go on"  # the median of 0.5 and 0.4
    assert run(race, "c003", 0.44) == "stop"


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_a_decision_stays(kind: str) -> None:
    race = Race(SchedulerSpec.model_validate({"kind": kind}))
    assert run(race, "c000", 0.1) == "go on"
    assert run(race, "c001", 0.9) == "go on"
    assert race.decide("c000", 0, keys("c000", 1)) == "go on"
