from collections.abc import Iterator, Sequence

import pytest

from osteon.jobs.sweep_board import Board, Standing
from osteon.jobs.sweep_folder import Outcome, TrialKey
from osteon.jobs.sweep_race import Race
from osteon.recipes.space import Configuration
from osteon.recipes.sweep import SchedulerSpec


class Listed:
    """Configurations, and what is told of them."""

    def __init__(self, number: int) -> None:
        self._left: Iterator[Configuration] = iter(
            Configuration(id=f"c{n:03d}", values={}, settings={}) for n in range(number)
        )
        self.told: list[tuple[str, float | None]] = []

    def next(self) -> Configuration | None:
        return next(self._left, None)

    def tell(self, configuration: Configuration, mean: float | None) -> None:
        self.told.append((configuration.id, mean))


def key(configuration: int, fold: int) -> TrialKey:
    return TrialKey(configuration=f"c{configuration:03d}", repeat=0, fold=fold)


def over(status: str = "done", dice: float | None = 0.5) -> Outcome:
    return Outcome.model_validate({"status": status, "dice": dice, "seconds": 1, "cpus": 1, "gpus": 0})


def board(
    configurations: int = 2,
    folds: int = 2,
    *,
    parallel: int = 2,
    kind: str = "none",
    rungs: Sequence[int] = (),
    known: dict[TrialKey, Standing] | None = None,
) -> tuple[Board, Listed]:
    proposals = Listed(configurations)
    race = Race(SchedulerSpec.model_validate({"kind": kind}))

    def enter(configuration: Configuration) -> dict[TrialKey, Standing]:
        keys = [TrialKey(configuration=configuration.id, repeat=0, fold=fold) for fold in range(folds)]
        return {each: (known or {}).get(each, Standing(rungs)) for each in keys}

    return Board(proposals, enter, lambda _, dice: over("stopped", dice), race, lambda: parallel), proposals


def test_trials_start_in_order_and_no_more_than_may_run_at_once() -> None:
    table, _ = board()
    assert [table.next(), table.next(), table.next()] == [key(0, 0), key(0, 1), None]
    table.end(key(0, 1), over())
    assert [table.next(), table.next()] == [key(1, 0), None]
    assert not table.is_over


def test_it_is_over_when_all_have_ended() -> None:
    table, _ = board(configurations=1)
    for each in (table.next(), table.next()):
        assert each is not None
        table.end(each, over())
    assert table.next() is None
    assert table.is_over


def test_the_search_learns_means_when_all_folds_are_over() -> None:
    table, proposals = board()
    table.next(), table.next()
    table.end(key(0, 0), over(dice=0.2))
    assert proposals.told == []
    table.end(key(0, 1), over(dice=0.6))
    table.next(), table.next()
    table.end(key(1, 0), over("failed", None))
    table.end(key(1, 1), over("failed", None))
    assert dict(proposals.told) == {"c000": pytest.approx(0.4), "c001": None}
    assert table.means() == {"c000": pytest.approx(0.4)}
    assert (table.count("done"), table.count("failed")) == (2, 2)


def test_what_was_over_before_is_not_run_again() -> None:
    known = {key(0, 0): Standing(outcome=over(dice=0.3)), key(0, 1): Standing(outcome=over("stopped", 0.1))}
    table, proposals = board(known=known)
    assert table.next() == key(1, 0)
    assert dict(proposals.told) == {"c000": pytest.approx(0.2)}


def test_a_fold_waits_at_a_rung_until_its_configuration_is_judged() -> None:
    table, _ = board(configurations=1, folds=3, kind="asha", rungs=[10])
    assert [table.next(), table.next()] == [key(0, 0), key(0, 1)]
    assert table.report(key(0, 0), 0.1, None, None) == "go on"
    assert table.report(key(0, 0), 0.5, 10, 0.5) == "wait"
    assert table.next() == key(0, 2)  # its place is free
    assert table.report(key(0, 1), 0.5, 10, 0.5) == "wait"
    assert not table.may_resume(key(0, 0))
    assert table.report(key(0, 2), 0.5, 10, 0.5) == "go on"
    assert table.may_resume(key(0, 0))
    assert table.next() is None  # those that waited go first
    table.resume(key(0, 0))
    assert table.num_running == 2


def test_a_configuration_is_given_up_with_all_its_folds() -> None:
    table, proposals = board(kind="asha", rungs=[10])
    table.next(), table.next()
    for fold in range(2):
        table.report(key(0, fold), 0.5, 10, 0.5)
    table.resume(key(0, 0))
    table.end(key(0, 0), over())
    table.end(key(0, 1), over())
    table.next(), table.next()
    assert table.report(key(1, 0), 0.5, 10, 0.1) == "wait"
    assert table.report(key(1, 1), 0.5, 10, 0.1) == "stop"
    assert table.beaten() == [key(1, 0)]
    assert table.count("stopped") == 2
    assert dict(proposals.told)["c001"] == pytest.approx(0.1)
    assert table.next() is None
    assert table.is_over


def test_a_resumed_sweep_goes_on_from_its_rungs() -> None:
    known = {key(0, 0): Standing([10], level=1), key(0, 1): Standing([10])}
    table, _ = board(configurations=1, kind="asha", known=known)
    table.race.record(key(0, 0), 0, 0.5)
    assert table.next() == key(0, 1)  # the other one waits for it
    assert table.next() is None
    assert table.report(key(0, 1), 0.5, 10, 0.5) == "go on"
    assert table.next() == key(0, 0)
