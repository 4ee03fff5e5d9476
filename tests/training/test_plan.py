"""Splits: deterministic by seed, explicit lists, folds, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from osteon.core.errors import BadInput
from osteon.training.plan import Split, TrainingSpec, split_cases

CASES = [f"case{k}" for k in range(10)]


def spec(**values: Any) -> TrainingSpec:
    return TrainingSpec.model_validate(values)


def test_share_is_held_out_and_the_rest_trained_on() -> None:
    split = split_cases(CASES, spec(validation_share=0.3))
    assert len(split.validation) == 3
    assert sorted(split.training + split.validation) == CASES


def test_split_depends_on_the_seed_alone_and_not_on_the_order_of_cases() -> None:
    first = split_cases(CASES, spec(seed=4))
    assert split_cases(CASES[::-1], spec(seed=4)) == first
    assert {split_cases(CASES, spec(seed=seed)) for seed in range(5)} != {first}


def test_a_small_share_still_holds_out_one_and_never_all() -> None:
    assert len(split_cases(CASES[:2], spec(validation_share=0.01)).validation) == 1
    assert len(split_cases(CASES[:2], spec(validation_share=0.99)).training) == 1


def test_a_single_case_is_trained_on() -> None:
    assert split_cases(["only"], spec()) == Split(("only",), ())


def test_lists_name_the_split() -> None:
    assert split_cases(CASES, spec(validation_cases=["case3"])).training == tuple(c for c in CASES if c != "case3")
    assert split_cases(CASES, spec(validation_cases=[])) == Split(tuple(CASES), ())
    named = spec(training_cases=["case2", "case1"], validation_cases=["case0"])
    assert split_cases(CASES, named) == Split(("case1", "case2"), ("case0",))


def test_drawn_validation_leaves_named_training_cases_alone() -> None:
    split = split_cases(CASES, spec(training_cases=CASES[:8], validation_share=0.5))
    assert split == Split(tuple(CASES[:8]), ("case8", "case9"))


def test_fold_of_given_splits() -> None:
    folds = [(["case0"], ["case1"]), (["case1"], ["case0"])]
    assert split_cases(CASES, spec(splits="splits_final.json", fold=1), folds) == Split(("case1",), ("case0",))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"splits": "splits_final.json", "fold": 2}, "no-fold"),
        ({"validation_cases": ["elsewhere"]}, "unknown-case"),
        ({"training_cases": ["case0"], "validation_cases": ["case0"]}, "split-overlap"),
        ({"validation_cases": CASES}, "no-cases"),
    ],
)
def test_impossible_splits_are_refused(values: dict[str, Any], code: str) -> None:
    with pytest.raises(BadInput) as refusal:
        split_cases(CASES, spec(**values), [(["case0"], []), (["case1"], [])])
    assert refusal.value.code == code


def test_nothing_labelled_is_refused() -> None:
    with pytest.raises(BadInput, match="no-cases"):
        split_cases([], spec())


def test_two_ways_to_split_are_refused() -> None:
    with pytest.raises(ValidationError, match="set only one"):
        spec(splits="splits_final.json", validation_cases=["case0"])
