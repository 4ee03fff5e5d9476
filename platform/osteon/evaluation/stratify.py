"""Dealing patients to folds so that every fold gets its share of every bone. Knows patients and bones, no cases.

Iterative stratification of multi-label data (Sechidis, Tsoumakas and Vlahavas 2011, algorithm 1), with two changes:
what is dealt is a patient with all its cases, and folds have room for an exact number of patients.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Patient:
    """One to be dealt.

    Attributes:
        name: unique.
        cases: how many there are.
        bones: in how many of the cases each bone is.
    """

    name: str
    cases: int
    bones: Counter[str]


def deal(patients: Sequence[Patient], rooms: Sequence[int], seed: int) -> tuple[tuple[str, ...], ...]:
    """The names of the patients in each fold, sorted; a function of the set of patients and the seed only.

    Args:
        patients: in any order.
        rooms: how many patients each fold takes; together as many as there are.
        seed: fixes the order among patients with as many cases.
    """
    left = sorted(patients, key=lambda patient: patient.name)
    random.Random(seed).shuffle(left)
    left.sort(key=lambda patient: -patient.cases)  # who has many cases goes first, and the others even them out
    table = _Table(left, rooms)
    while left:
        bone = _rarest(left)
        now = [patient for patient in left if bone is None or bone in patient.bones]
        for patient in now:
            table.seat(patient, bone)
        left = [patient for patient in left if patient not in now]
    return tuple(tuple(sorted(names)) for names in table.names)


def _rarest(patients: Sequence[Patient]) -> str | None:
    """The bone with the fewest cases left; None if no patient has a bone."""
    counts = sum((patient.bones for patient in patients), Counter[str]())
    return min(counts, key=lambda bone: (counts[bone], bone), default=None)


class _Table:
    """Who sits where so far, and what each fold still wants."""

    def __init__(self, patients: Sequence[Patient], rooms: Sequence[int]) -> None:
        self.names: list[list[str]] = [[] for _ in rooms]
        self._rooms = rooms
        self._total = sum((_contents(patient) for patient in patients), Counter[str | None]())
        self._held: list[Counter[str | None]] = [Counter() for _ in rooms]

    def seat(self, patient: Patient, bone: str | None) -> None:
        """With the fold that lacks most of the bone, then most cases; the first of equals."""
        free = [number for number, room in enumerate(self._rooms) if len(self.names[number]) < room]
        chosen = max(free, key=lambda number: (self._lack(number, bone), self._lack(number, None), -number))
        self.names[chosen].append(patient.name)
        self._held[chosen] += _contents(patient)

    def _lack(self, number: int, bone: str | None) -> int:
        """Cases with the bone (None: any cases) that the fold is short of, times the number of all patients."""
        return self._rooms[number] * self._total[bone] - sum(self._rooms) * self._held[number][bone]


def _contents(patient: Patient) -> Counter[str | None]:
    contents: Counter[str | None] = Counter({None: patient.cases})
    contents.update(patient.bones)
    return contents
