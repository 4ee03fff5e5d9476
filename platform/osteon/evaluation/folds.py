"""Cross-validation: which cases every fold learns from and is judged by, and which none of them ever sees.

Knows ids of cases, their patients and their bones; no datasets. Whole patients are dealt, never parts of one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from osteon.core.errors import BadInput
from osteon.evaluation.fold_files import Fold, read_patients, read_splits
from osteon.evaluation.stratify import Patient, deal

__all__ = ["Fold", "FoldCase", "FoldSpec", "Folds", "make_folds", "patients_of", "read_splits", "splits_json"]


class FoldSpec(BaseModel):
    """How cases are dealt to folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=5, ge=2, description="Folds that are drawn (not used when `splits` is set).")
    seed: int = Field(default=0, ge=0, description="Fixes the draw.")
    test_share: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the patients held out of all folds, drawn by the seed."
    )
    test_cases: tuple[str, ...] | None = Field(
        default=None, description="Ids of the cases held out instead; null draws `test_share`."
    )
    splits: str | None = Field(
        default=None,
        description="An nnU-Net splits_final.json used instead of drawing; cases that are in no fold are held out.",
    )
    only: tuple[int, ...] | None = Field(
        default=None, description="Numbers of the folds that are run, from 0; null: all."
    )
    patients: str | None = Field(
        default=None,
        description="A file that says whose a case is: JSON {case id: patient}, or CSV with the header case,patient.",
    )
    patient_pattern: str | None = Field(
        default=None,
        description='A regular expression whose first group is the patient in a case id, for example "^(sub-[^_]+)".',
    )

    @model_validator(mode="after")
    def _one_way_each(self) -> FoldSpec:
        if self.splits is not None and (self.test_cases is not None or self.test_share):
            raise ValueError("splits and test_cases/test_share both name the test set: set only one")
        if self.test_cases is not None and self.test_share:
            raise ValueError("test_cases and test_share both name the test set: set only one")
        if self.patients is not None and self.patient_pattern is not None:
            raise ValueError("patients and patient_pattern both name the patients: set only one")
        return self


@dataclass(frozen=True)
class FoldCase:
    """A labelled case.

    Attributes:
        case_id: of the case.
        patient: whose it is (see `patients_of`); all cases of a patient stay together.
        bones: names of the bones in it.
    """

    case_id: str
    patient: str
    bones: frozenset[str]


@dataclass(frozen=True)
class Folds:
    """All folds.

    Attributes:
        test: ids of the cases that no fold sees, sorted.
        folds: by number.
        chosen: numbers of the folds that are run.
    """

    test: tuple[str, ...]
    folds: tuple[Fold, ...]
    chosen: tuple[int, ...]


def make_folds(cases: Sequence[FoldCase], spec: FoldSpec) -> Folds:
    """The folds of labelled cases, in whatever order these come; reads ``spec.splits`` if that is set.

    Folds have equally many patients, up to one, and about equally many cases of every bone; so has the test set.

    Raises:
        BadInput: ``too-few-patients``, ``unknown-case``, ``bad-splits``, ``no-fold``, ``fold-without-bone``, or
            ``patient-on-both-sides`` where given cases part a patient.
    """
    if spec.splits is None:
        test = _test_set(cases, spec)
        folds = _draw([case for case in cases if case.case_id not in test], spec)
    else:
        folds = read_splits(spec.splits)
        _refuse_unknown({case_id for fold in folds for ids in fold for case_id in ids}, cases, spec.splits)
        test = {case.case_id for case in cases} - {case_id for fold in folds for ids in fold for case_id in ids}
    found = Folds(tuple(sorted(test)), folds, _chosen(spec, len(folds)))
    _check(found, cases)
    return found


def patients_of(case_ids: Iterable[str], spec: FoldSpec, source_of: Mapping[str, str] | None = None) -> dict[str, str]:
    """Whose each case is; a case is its own patient where the spec does not say.

    Args:
        case_ids: the cases.
        spec: names a file, or a pattern.
        source_of: the scan that a case was derived from, by case id: it has the scan's patient.

    Raises:
        BadInput: ``bad-patients``, ``bad-pattern`` or ``no-patient``.
    """
    scan_of = {case_id: (source_of or {}).get(case_id, case_id) for case_id in case_ids}
    if spec.patients is not None:
        listed = read_patients(spec.patients)
        found = {case_id: listed.get(case_id, listed.get(scan)) for case_id, scan in scan_of.items()}
    elif spec.patient_pattern is not None:
        pattern = _compile(spec.patient_pattern)
        found = {case_id: _first_group(pattern, scan) for case_id, scan in scan_of.items()}
    else:
        return scan_of
    missing = sorted(case_id for case_id, patient in found.items() if not patient)
    if missing:
        raise BadInput(
            "no-patient",
            f"cases without a patient: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}",
            where=spec.patients or "folds.patient_pattern",
            remedy="name the patient of every labelled case",
        )
    return {case_id: patient for case_id, patient in found.items() if patient}


def splits_json(folds: Folds) -> str:
    """All folds as nnU-Net's ``splits_final.json``, which `make_folds` takes back with the same test set."""
    return json.dumps([{"train": fold.training, "val": fold.validation} for fold in folds.folds], indent=1)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
        fault = None if compiled.groups else "it has no group"
    except re.error as error:
        fault = str(error)
    if fault:
        raise BadInput(
            "bad-pattern",
            f"{pattern!r} names no patient: {fault}",
            where="folds.patient_pattern",
            remedy='put what names the patient into brackets, as in "^(sub-[^_]+)"',
        )
    return compiled


def _first_group(pattern: re.Pattern[str], case_id: str) -> str | None:
    match = pattern.search(case_id)
    return match.group(1) if match else None


def _test_set(cases: Sequence[FoldCase], spec: FoldSpec) -> set[str]:
    if spec.test_cases is not None:
        _refuse_unknown(spec.test_cases, cases, "folds.test_cases")
        return set(spec.test_cases)
    if not spec.test_share:
        return set()
    patients = _patients(cases)
    held = max(1, round(spec.test_share * len(patients)))
    drawn, _ = deal(patients, [held, len(patients) - held], spec.seed)
    return {case.case_id for case in cases if case.patient in drawn}


def _draw(cases: Sequence[FoldCase], spec: FoldSpec) -> tuple[Fold, ...]:
    patients = _patients(cases)
    if len(patients) < spec.count:
        raise BadInput(
            "too-few-patients",
            f"{spec.count} folds, but patients outside of the test set: {len(patients)}",
            where="folds.count",
            remedy="lower folds.count, or add cases of other patients",
        )
    each, more = divmod(len(patients), spec.count)
    dealt = deal(patients, [each + (number < more) for number in range(spec.count)], spec.seed)
    return tuple(
        Fold(
            tuple(sorted(case.case_id for case in cases if case.patient not in held)),
            tuple(sorted(case.case_id for case in cases if case.patient in held)),
        )
        for held in map(set, dealt)
    )


def _patients(cases: Iterable[FoldCase]) -> list[Patient]:
    counts: dict[str, int] = Counter(case.patient for case in cases)
    bones: dict[str, Counter[str]] = {name: Counter() for name in counts}
    for case in cases:
        bones[case.patient].update(case.bones)
    return [Patient(name, counts[name], bones[name]) for name in counts]


def _chosen(spec: FoldSpec, count: int) -> tuple[int, ...]:
    if spec.only is None:
        return tuple(range(count))
    missing = [number for number in spec.only if not 0 <= number < count]
    if missing or not spec.only:
        named = f"fold {missing[0]} is not among the {count} folds" if missing else "no fold is named"
        raise BadInput("no-fold", named, where="folds.only", remedy=f"name folds from 0 to {count - 1}")
    return tuple(sorted(set(spec.only)))


def _refuse_unknown(named: Collection[str], cases: Iterable[FoldCase], where: str) -> None:
    unknown = sorted(set(named) - {case.case_id for case in cases})
    if unknown:
        raise BadInput(
            "unknown-case",
            f"{', '.join(unknown[:5])}: not among the dataset's cases with labels",
            where=where,
            remedy="list the dataset's cases in its catalog.parquet",
        )


def _check(folds: Folds, cases: Iterable[FoldCase]) -> None:
    by_id = {case.case_id: case for case in cases}
    for number in folds.chosen:
        training, validation = folds.folds[number]
        _check_bones(number, by_id, training=training, validation=validation)
        _check_apart(number, by_id, training, validation)
        _check_apart(number, by_id, folds.test, (*training, *validation))


def _check_bones(number: int, by_id: Mapping[str, FoldCase], **sides: Sequence[str]) -> None:
    for name, ids in sides.items():
        if not any(by_id[case_id].bones for case_id in ids):
            raise BadInput(
                "fold-without-bone",
                f"no {name} case of fold {number} has a bone",
                where="folds",
                remedy="add labelled cases, lower folds.count, or leave the fold out by folds.only",
            )


def _check_apart(number: int, by_id: Mapping[str, FoldCase], one: Sequence[str], other: Sequence[str]) -> None:
    mine = {by_id[case_id].patient: case_id for case_id in one}
    for case_id in other:
        same = mine.get(by_id[case_id].patient)
        if same is not None:
            raise BadInput(
                "patient-on-both-sides",
                f"fold {number} parts a patient: case {same} is on one side, case {case_id} on the other",
                where="folds",
                remedy="keep all cases of a patient in training, in validation or in the test set",
            )
