"""Folds: whole patients, every bone everywhere, a test set apart; files that people bring, and what is refused."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from osteon.core.errors import BadInput
from osteon.evaluation.fold_files import read_patients
from osteon.evaluation.folds import FoldCase, FoldSpec, make_folds, patients_of, read_splits, splits_json

BONES = ("femur_left", "femur_right", "sacrum", "skull")


def fold_case(case_id: str, patient: str = "", bones: Sequence[str] = ("sacrum",)) -> FoldCase:
    return FoldCase(case_id, patient or case_id, frozenset(bones))


def singles(count: int) -> list[FoldCase]:
    return [fold_case(f"c{n:03}") for n in range(count)]


@st.composite
def many_cases(draw: st.DrawFn) -> list[FoldCase]:
    """Six to twenty patients with one to three cases each; every case has the sacrum, and others by chance."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=6, max_size=20))
    extra = st.frozensets(st.sampled_from(BONES))
    owners = [f"p{n}" for n, size in enumerate(sizes) for _ in range(size)]
    return [FoldCase(f"c{n}", owner, draw(extra) | {"sacrum"}) for n, owner in enumerate(owners)]


@given(
    cases=many_cases(),
    count=st.integers(2, 4),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.1, 0.3]),
    order=st.randoms(use_true_random=False),
)
def test_no_patient_is_on_two_sides_and_every_case_is_judged_once(
    cases: list[FoldCase], count: int, seed: int, share: float, order: random.Random
) -> None:
    spec = FoldSpec(count=count, seed=seed, test_share=share)
    made = make_folds(cases, spec)
    patient_of = {case.case_id: case.patient for case in cases}
    test = {patient_of[case_id] for case_id in made.test}
    num_patients = len(set(patient_of.values()))
    assert len(test) == (max(1, round(share * num_patients)) if share else 0)
    judged = Counter(case_id for fold in made.folds for case_id in fold.validation)
    assert judged == Counter(case.case_id for case in cases if case.case_id not in made.test)
    for fold in made.folds:
        training, validation = ({patient_of[case_id] for case_id in ids} for ids in fold)
        assert not training & validation
        assert not test & (training | validation)
        assert sorted((*fold.training, *fold.validation)) == sorted(judged)
    sizes = [len({patient_of[case_id] for case_id in fold.validation}) for fold in made.folds]
    assert max(sizes) - min(sizes) <= 1
    shuffled = list(cases)
    order.shuffle(shuffled)
    assert make_folds(shuffled, spec) == made


def test_every_fold_has_its_share_of_rare_bones() -> None:
    cases = [
        fold_case(f"c{n:02}", bones=["sacrum"] + ["skull"] * (n < 5) + ["femur_left"] * (n >= 5 and n % 2))
        for n in range(30)
    ]
    bones_of = {case.case_id: case.bones for case in cases}
    for seed in range(20):
        made = make_folds(cases, FoldSpec(count=5, seed=seed))
        for bone, each in (("skull", {1}), ("femur_left", {2, 3}), ("sacrum", {6})):
            assert {sum(bone in bones_of[id_] for id_ in fold.validation) for fold in made.folds} == each


def test_the_test_set_has_its_share_of_bones_too() -> None:
    cases = [fold_case(f"c{n:02}", bones=["sacrum", "skull"] if n < 20 else ["sacrum"]) for n in range(100)]
    test = make_folds(cases, FoldSpec(count=10, test_share=0.15)).test
    assert len(test) == 15
    assert sum(case_id < "c20" for case_id in test) == 3


def test_patients_with_many_cases_are_evened_out() -> None:
    cases = [fold_case(f"c{p}-{n}", f"p{p}") for p, size in enumerate((4, 3, 3, 2, 1, 1)) for n in range(size)]
    made = make_folds(cases, FoldSpec(count=3))
    assert sorted(len(fold.validation) for fold in made.folds) == [4, 5, 5]


def test_seeds_draw_differently_and_hashes_do_not() -> None:
    drawn = {make_folds(singles(12), FoldSpec(count=3, seed=seed)).folds for seed in range(5)}
    assert len(drawn) == 5
    program = (
        "from osteon.evaluation.folds import *\n"
        "cases = [FoldCase(f'c{n}', f'p{n // 2}', frozenset('abcdef'[n % 5:])) for n in range(20)]\n"
        "print(splits_json(make_folds(cases, FoldSpec(count=3))))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_given_test_cases_and_chosen_folds() -> None:
    made = make_folds(singles(7), FoldSpec(count=3, test_cases=("c006",), only=(2, 0)))
    assert made.test == ("c006",)
    assert [len(fold.validation) for fold in made.folds] == [2, 2, 2]
    assert made.chosen == (0, 2)


def test_splits_go_to_a_file_and_come_back(tmp_path: Path) -> None:
    made = make_folds(singles(11), FoldSpec(count=3, test_share=0.2))
    path = tmp_path / "splits_final.json"
    path.write_text(splits_json(made))
    assert json.loads(path.read_text())[0].keys() == {"train", "val"}
    assert read_splits(str(path)) == made.folds
    assert make_folds(singles(11), FoldSpec(splits=str(path))) == made


@pytest.mark.parametrize(
    ("cases", "spec", "code", "words"),
    [
        (singles(4), {"count": 5}, "too-few-patients", "5 folds, but .*: 4"),
        (singles(5), {"count": 5, "test_share": 0.2}, "too-few-patients", "5 folds, but .*: 4"),
        ([fold_case(f"c{n}", "one") for n in range(9)], {"count": 2}, "too-few-patients", "2 folds, but .*: 1"),
        (singles(6), {"count": 2, "test_cases": ["c009"]}, "unknown-case", "c009: not among"),
        (singles(6), {"count": 2, "only": [2]}, "no-fold", "fold 2 is not among the 2 folds"),
        (singles(6), {"count": 2, "only": []}, "no-fold", "no fold is named"),
        (
            [fold_case("a", bones=()), fold_case("b"), fold_case("c", bones=())],
            {"count": 3},
            "fold-without-bone",
            "case of fold 0 has a bone",
        ),
        (
            [fold_case("a", "p"), fold_case("b", "p"), *singles(4)],
            {"count": 2, "test_cases": ["a"]},
            "patient-on-both-sides",
            "case a is on one side, case b on the other",
        ),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    cases: list[FoldCase], spec: dict[str, object], code: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words) as refusal:
        make_folds(cases, FoldSpec.model_validate(spec))
    assert refusal.value.code == code
    assert refusal.value.remedy


def test_a_fold_without_bone_may_be_left_out() -> None:
    cases = [fold_case("a", bones=()), fold_case("b"), fold_case("c")]
    refused = []
    for number in range(3):
        try:
            judged = make_folds(cases, FoldSpec(count=3, only=(number,))).folds[number].validation
            assert judged in (("b",), ("c",))
        except BadInput:
            refused.append(number)
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("folds", "code"),
    [
        ([{"train": ["a"], "val": ["z"]}], "unknown-case"),
        ([{"train": ["a"], "val": ["b"]}], "patient-on-both-sides"),
        ([{"train": ["a", "c"], "val": ["a"]}], "patient-on-both-sides"),
        ([{"train": ["a"], "val": ["c"]}], "patient-on-both-sides"),  # b, of the patient of a, would be the test set
        ([{"train": ["c"], "val": []}], "fold-without-bone"),
        ([], "bad-splits"),
        ({"train": ["a"]}, "bad-splits"),
    ],
)
def test_splits_that_leak_or_do_not_fit_are_refused(folds: object, code: str, tmp_path: Path) -> None:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps(folds))
    cases = [fold_case("a", "p"), fold_case("b", "p"), fold_case("c"), fold_case("d")]
    with pytest.raises(BadInput) as refusal:
        make_folds(cases, FoldSpec(splits=str(path)))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "values",
    [
        {"splits": "s.json", "test_share": 0.1},
        {"splits": "s.json", "test_cases": []},
        {"test_cases": [], "test_share": 0.1},
        {"patients": "p.json", "patient_pattern": "(a)"},
        {"count": 1},
        {"test_share": 1},
        {"folds": 3},
    ],
)
def test_a_contradictory_section_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FoldSpec.model_validate(values)


def test_patients_come_from_ids_files_and_sources(tmp_path: Path) -> None:
    ids = ["sub-1_a", "sub-1_b", "sub-2_a"]
    assert patients_of(ids, FoldSpec()) == {case_id: case_id for case_id in ids}
    assert patients_of(ids, FoldSpec(), {"sub-1_b": "sub-1_a"})["sub-1_b"] == "sub-1_a"
    expected = {"sub-1_a": "sub-1", "sub-1_b": "sub-1", "sub-2_a": "sub-2"}
    assert patients_of(ids, FoldSpec(patient_pattern="^(sub-[^_]+)")) == expected
    table, mapping = tmp_path / "patients.csv", tmp_path / "patients.json"
    table.write_text("\ufeffcase,patient\nsub-1_a,sub-1\nsub-1_b,sub-1\nsub-2_a,sub-2\n", "utf-8")
    mapping.write_text(json.dumps(expected))
    for path in (table, mapping):
        assert patients_of(ids, FoldSpec(patients=str(path))) == expected
        assert patients_of(["left"], FoldSpec(patients=str(path)), {"left": "sub-2_a"}) == {"left": "sub-2"}


@pytest.mark.parametrize(
    ("pattern", "code", "words"),
    [
        ("^(sub", "bad-pattern", "unterminated"),
        ("^sub", "bad-pattern", "it has no group"),
        ("^(x)", "no-patient", "sub-1_a"),
    ],
)
def test_patterns_that_find_no_patient_are_refused(pattern: str, code: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refusal:
        patients_of(["sub-1_a"], FoldSpec(patient_pattern=pattern))
    assert refusal.value.code == code


def test_a_case_without_patient_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "patients.json"
    path.write_text('{"a": "p"}')
    with pytest.raises(BadInput, match=r"cases without a patient: b \[no-patient\]"):
        patients_of(["a", "b"], FoldSpec(patients=str(path)))


@pytest.mark.parametrize(
    ("name", "text"), [("p.json", "{"), ("p.json", '{"a": 1}'), ("p.csv", "id,who\na,b\n"), ("p.json", None)]
)
def test_other_files_name_no_patients(name: str, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput) as refusal:
        read_patients(str(path))
    assert refusal.value.code == "bad-patients"
    assert str(path) in str(refusal.value)
