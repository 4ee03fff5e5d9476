"""From the scores of cases to a report: what was run, spreads over bones and cases. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from osteon.core.labels import LabelTable
from osteon.evaluation.confusion import MixUp, SideRow, add_up, mix_ups, sides
from osteon.evaluation.scores import BoneScores, CaseScores, Score

SCHEMA_VERSION: Literal[1] = 1
QUANTILES = (0.16, 0.5, 0.84)  # one standard deviation to either side of the middle, were it a normal distribution


class Spread(Score):
    """How one metric is spread over bones, cases or both; all ``None`` where nothing was counted.

    Attributes:
        count: values that are defined.
        undefined: bones that are counted but for which the metric is undefined.
        mean: of the defined values.
        low: 16 % quantile (linear interpolation).
        median: 50 % quantile.
        high: 84 % quantile.
    """

    count: int
    undefined: int
    mean: float | None
    low: float | None
    median: float | None
    high: float | None


class Spreads(Score):
    """The spread of every metric of `BoneScores`, and the share of counted bones with a Dice above zero."""

    dsc: Spread
    iou: Spread
    precision: Spread
    recall: Spread
    surface_dice: Spread
    hd_mm: Spread
    hd95_mm: Spread
    asd_mm: Spread
    volume_error: Spread
    volume_error_mm3: Spread
    nonzero_share: float | None


class BoneSummary(Score):
    """One bone over all cases.

    Attributes:
        id: label id.
        name: canonical name.
        in_reference: cases whose reference has it.
        missed: cases that have it and where nothing was predicted as it.
        false_positives: cases that do not have it and where something was predicted as it.
        scores: spreads over the cases that count it.
    """

    id: int
    name: str
    in_reference: int
    missed: int
    false_positives: int
    scores: Spreads


class CaseSummary(Score):
    """One case over all its bones.

    Attributes:
        case_id: the case.
        in_reference: bones that the reference has.
        missed: names of the bones that were not found.
        false_positives: names of the bones that are not there.
        any_bone_dsc: Dice of bone against no bone.
        scores: spreads over the bones that count.
    """

    case_id: str
    in_reference: int
    missed: tuple[str, ...]
    false_positives: tuple[str, ...]
    any_bone_dsc: float | None
    scores: Spreads

    @property
    def has_unmatched(self) -> bool:
        """Whether bones were missed or invented."""
        return bool(self.missed or self.false_positives)


class RunFacts(Score):
    """What was evaluated, with what and where.

    Attributes:
        model: where the bundle was read from.
        model_digest: SHA-256 of the bundle.
        recipe: name of the recipe it was trained by.
        dataset: name of the dataset.
        dataset_url: where it was read from.
        split: how the cases were chosen: ``validation``, ``test`` or ``all`` of the dataset, or ``named``.
        seen_in_training: those of the cases that the model learnt from; ``None`` where the model does not say.
        unreadable: why a case is not in the report, by case: its stored voxels are damaged or lost.
        backend: what computed the network.
        started: time in UTC, ISO 8601.
        seconds: of segmentation, by case.
        num_parameters: of the network; ``None`` in reports of Osteon 0.1.
        seconds_per_step: of training, the median over the run's log; ``None`` where the run is not beside the model.
        unscored_model_bones: bones the model knows and the dataset has no label for.
        unscored_dataset_bones: bones the dataset has labels for and the model does not know.
        versions: of Osteon and the libraries the numbers hang on.
        machine: processor, cores, operating system, accelerator.
    """

    model: str
    model_digest: str
    recipe: str
    dataset: str
    dataset_url: str
    split: Literal["validation", "test", "all", "named"]
    seen_in_training: tuple[str, ...] | None
    unreadable: dict[str, str]
    backend: str
    started: str
    seconds: dict[str, float]
    num_parameters: int | None = None
    seconds_per_step: float | None = None
    unscored_model_bones: tuple[str, ...]
    unscored_dataset_bones: tuple[str, ...]
    versions: dict[str, str]
    machine: str


class Report(Score):
    """Everything that `report.json` holds; the schema version grows when a field changes its meaning or goes.

    Attributes:
        schema_version: of this document.
        tolerance_mm: of the surface Dice.
        facts: of the run; ``None`` for label arrays compared outside of a run.
        in_reference: pairs of case and bone that the references have.
        missed: those of them that were not found.
        false_positives: pairs of case and bone that were predicted but are not there.
        any_bone_dsc: spread over cases.
        overall: spreads over all counted pairs of case and bone.
        bones: one summary per bone that counted anywhere, in order of id.
        cases: one summary per case, in the order given.
        sides: bones with a left and a right in the table.
        mix_ups: the largest shares of a bone called another bone.
        details: the scores of every case.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    tolerance_mm: float
    facts: RunFacts | None
    in_reference: int
    missed: int
    false_positives: int
    any_bone_dsc: Spread
    overall: Spreads
    bones: tuple[BoneSummary, ...]
    cases: tuple[CaseSummary, ...]
    sides: tuple[SideRow, ...]
    mix_ups: tuple[MixUp, ...]
    details: tuple[CaseScores, ...]


def summarise(cases: Sequence[CaseScores], facts: RunFacts | None = None) -> Report:
    """The report of one or more cases that were scored with one tolerance.

    Raises:
        ValueError: no cases, or cases scored with different tolerances.
    """
    tolerances = {case.tolerance_mm for case in cases}
    if len(tolerances) != 1:
        raise ValueError(f"a report needs cases of one tolerance, not of {sorted(tolerances)}")
    scores = [bone for case in cases for bone in case.bones]
    counts = add_up(pair for case in cases for pair in case.confusion)
    table = LabelTable.of({bone.id: bone.name for bone in scores})
    return Report(
        tolerance_mm=tolerances.pop(),
        facts=facts,
        in_reference=sum(bone.status != "false-positive" for bone in scores),
        missed=sum(bone.status == "missed" for bone in scores),
        false_positives=sum(bone.status == "false-positive" for bone in scores),
        any_bone_dsc=spread(case.any_bone_dsc for case in cases),
        overall=_spreads(scores),
        bones=tuple(_bone_summary(label.id, label.name, scores) for label in table.labels),
        cases=tuple(_case_summary(case) for case in cases),
        sides=sides(counts, table),
        mix_ups=mix_ups(counts, table),
        details=tuple(cases),
    )


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and quantiles of the defined values."""
    everything = list(values)
    defined = [value for value in everything if value is not None]
    undefined = len(everything) - len(defined)
    if not defined:
        return Spread(count=0, undefined=undefined, mean=None, low=None, median=None, high=None)
    low, median, high = (float(value) for value in np.quantile(defined, QUANTILES))
    mean = float(np.mean(defined))
    return Spread(count=len(defined), undefined=undefined, mean=mean, low=low, median=median, high=high)


def _spreads(bones: Sequence[BoneScores]) -> Spreads:
    return Spreads(
        dsc=spread(bone.dsc for bone in bones),
        iou=spread(bone.iou for bone in bones),
        precision=spread(bone.precision for bone in bones),
        recall=spread(bone.recall for bone in bones),
        surface_dice=spread(bone.surface_dice for bone in bones),
        hd_mm=spread(bone.hd_mm for bone in bones),
        hd95_mm=spread(bone.hd95_mm for bone in bones),
        asd_mm=spread(bone.asd_mm for bone in bones),
        volume_error=spread(bone.volume_error for bone in bones),
        volume_error_mm3=spread(bone.volume_error_mm3 for bone in bones),
        nonzero_share=sum(bone.dsc > 0 for bone in bones) / len(bones) if bones else None,
    )


def _bone_summary(id_: int, name: str, scores: Sequence[BoneScores]) -> BoneSummary:
    mine = [bone for bone in scores if bone.id == id_]
    return BoneSummary(
        id=id_,
        name=name,
        in_reference=sum(bone.status != "false-positive" for bone in mine),
        missed=sum(bone.status == "missed" for bone in mine),
        false_positives=sum(bone.status == "false-positive" for bone in mine),
        scores=_spreads(mine),
    )


def _case_summary(case: CaseScores) -> CaseSummary:
    return CaseSummary(
        case_id=case.case_id,
        in_reference=sum(bone.status != "false-positive" for bone in case.bones),
        missed=tuple(bone.name for bone in case.bones if bone.status == "missed"),
        false_positives=tuple(bone.name for bone in case.bones if bone.status == "false-positive"),
        any_bone_dsc=case.any_bone_dsc,
        scores=_spreads(case.bones),
    )
