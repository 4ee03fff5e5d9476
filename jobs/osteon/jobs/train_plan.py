"""What a run will do, resolved before anything starts: its cases, its bones, its network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from osteon.core.errors import BadInput
from osteon.evaluation.fold_files import read_splits
from osteon.inference.prepared import must_prepare
from osteon.jobs.pretrained import locate_weights
from osteon.jobs.run_folder import RunRecord
from osteon.models.build import EnsembleSpec, build
from osteon.models.network import num_parameters
from osteon.recipes.recipe import Recipe, differing_keys
from osteon.storage.dataset import Dataset
from osteon.training.plan import split_cases


@dataclass(frozen=True)
class TrainPlan:
    """A resolved run.

    Attributes:
        record: recipe, cases and bones.
        num_parameters: trainable numbers of the network.
        unseen: names of bones that only validation cases have; they are not learnt and not judged.
    """

    record: RunRecord
    num_parameters: int
    unseen: tuple[str, ...]


def plan_run(recipe: Recipe, dataset: Dataset) -> TrainPlan:
    """The run of a recipe on a dataset.

    Raises:
        BadInput: ``not-trainable`` if the network is an ensemble; if the split cannot be made (see `split_cases`),
            ``no-bones`` if no training case has a label, or ``not-prepared`` if the recipe prepares scans and a case
            was not.
    """
    _check_trainable(recipe)
    labels_of = {row.case_id: set(row.labels) for row in dataset.catalog() if row.has_labels}
    splits = recipe.training.splits
    folds = read_splits(splits) if splits is not None else ()
    prepared = recipe.prepare.is_active
    split = split_cases(list(labels_of), recipe.training, folds, sources_of(dataset, labels_of) if prepared else None)
    check_prepared(recipe, dataset, (*split.training, *split.validation))
    learnt = set[int]().union(*(labels_of[case_id] for case_id in split.training))
    judged = set[int]().union(*(labels_of[case_id] for case_id in split.validation))
    table = dataset.table.subset(learnt)
    if not len(table):
        raise BadInput(
            "no-bones",
            f"the {len(split.training)} training cases have no bone of the dataset's table",
            where=dataset.url,
            remedy="ingest scans with labels, or name other training cases",
        )
    record = RunRecord(
        recipe=locate_weights(recipe),
        dataset=dataset.name,
        training=split.training,
        validation=split.validation,
        labels=table.names,
    )
    network = build(recipe.model, num_classes=len(table) + 1)
    unseen = dataset.table.subset(judged - learnt)
    return TrainPlan(record, num_parameters(network), tuple(label.name for label in unseen.labels))


def _check_trainable(recipe: Recipe) -> None:
    if isinstance(recipe.model, EnsembleSpec):
        raise BadInput(
            "not-trainable",
            f"the recipe {recipe.name} names an ensemble, which is made of networks that were trained apart",
            remedy=f"train its member instead: set model to what model.member is, {recipe.model.member.architecture}",
        )


def sources_of(dataset: Dataset, case_ids: Iterable[str]) -> dict[str, str]:
    """The scan that each derived case was made from: two femurs of one patient must not part."""
    derivations = {case_id: dataset.case(case_id).provenance.derivation for case_id in case_ids}
    return {case_id: each.case_id for case_id, each in derivations.items() if each is not None}


def check_prepared(recipe: Recipe, dataset: Dataset, case_ids: Iterable[str]) -> None:
    """Refuse cases that are not what the recipe's section ``prepare`` makes of scans.

    Raises:
        BadInput: ``not-prepared``, or ``other-preparation`` if a case was prepared otherwise.
    """
    if not recipe.prepare.is_active:
        return
    for case_id in case_ids:
        if must_prepare(recipe.prepare, dataset.case(case_id).provenance.derivation):
            raise BadInput(
                "not-prepared",
                f"case {case_id} is a scan as it came, and the recipe {recipe.name} prepares scans first",
                where=dataset.url,
                remedy=f"derive a dataset by osteon prepare {dataset.url} OUT --recipe {recipe.name}, and take that",
            )


def go_on(asked: RunRecord, kept: RunRecord, where: str) -> RunRecord:
    """What a run does when it is resumed: what it did before, or more of the same if a longer one is asked for.

    Raises:
        BadInput: ``other-recipe``, naming the keys that differ.
    """
    changed = differing_keys(asked.recipe, kept.recipe)
    longer = asked.recipe.training.lengthens(kept.recipe.training)
    if longer and not set(changed) - {"training.steps", "training.minutes"}:
        return kept.model_copy(update={"recipe": kept.recipe.model_copy(update={"training": asked.recipe.training})})
    if changed:
        raise BadInput(
            "other-recipe",
            f"the run was started with another recipe: {', '.join(changed)} differ",
            where=where,
            remedy="resume with the same recipe and --set (training may last longer), or choose another --out",
        )
    return kept
