"""What a sweep will do, resolved and checked before anything starts: folds, configurations, the run of every trial."""

from __future__ import annotations

from dataclasses import dataclass

from osteon.core.errors import BadInput
from osteon.evaluation.folds import FoldCase, Folds, make_folds, patients_of
from osteon.jobs.pretrained import locate_weights
from osteon.jobs.run_folder import RunRecord
from osteon.jobs.sweep_folder import SweepRecord, TrialKey
from osteon.jobs.sweep_search import proposals_of
from osteon.jobs.train_plan import check_prepared, sources_of
from osteon.recipes.recipe import Recipe, load_recipe
from osteon.recipes.space import RECIPE_KEY, Configuration, draw_configurations, extremes, overrides
from osteon.recipes.sweep import SweepSpec
from osteon.storage.dataset import Dataset


@dataclass(frozen=True)
class SweepPlan:
    """A resolved sweep.

    Attributes:
        record: spec, folds, bones.
        folds: the same folds, as they were drawn.
        configurations: those that are known beforehand.
        num_configurations: how many there will be.
        patients: how many people the folds' cases are of.
    """

    record: SweepRecord
    folds: Folds
    configurations: tuple[Configuration, ...]
    num_configurations: int
    patients: int

    @property
    def num_trials(self) -> int:
        """Configurations times folds times repeats."""
        return self.num_configurations * len(self.record.chosen) * self.record.spec.repeats


def plan_sweep(spec: SweepSpec, dataset: Dataset, where: str) -> SweepPlan:
    """The sweep of a spec on a dataset.

    Args:
        spec: what is asked.
        dataset: labelled scans.
        where: the file that the spec came from, for errors.

    Raises:
        BadInput: ``no-optuna``; ``bad-sweep`` if a configuration is refused as a recipe; ``not-prepared``; and as
            `make_folds` and `patients_of`.
    """
    proposals_of(spec, ())  # refuses what it lacks
    recipes = _checked_recipes(spec, where)
    rows = [row for row in dataset.catalog() if row.has_labels]
    prepared = any(recipe.prepare.is_active for recipe in recipes)
    sources = sources_of(dataset, [row.case_id for row in rows]) if prepared else None
    patients = patients_of([row.case_id for row in rows], spec.folds, sources)
    names = dataset.table.names
    cases = [
        FoldCase(row.case_id, patients[row.case_id], frozenset(names[id_] for id_ in row.labels if id_ in names))
        for row in rows
    ]
    folds = make_folds(cases, spec.folds)
    learnt = {case.case_id for case in cases} - set(folds.test)
    table = dataset.table.subset({id_ for row in rows if row.case_id in learnt for id_ in row.labels})
    record = SweepRecord(
        spec=spec,
        dataset=dataset.name,
        dataset_url=dataset.url,
        test=folds.test,
        folds=folds.folds,
        chosen=folds.chosen,
        labels=table.names,
    )
    for recipe in recipes:
        check_prepared(recipe, dataset, record.learnt)
    people = len({patients[case_id] for case_id in record.learnt})
    return SweepPlan(record, folds, tuple(_listed(spec)), num_configurations(spec), people)


def recipe_of(spec: SweepSpec, configuration: Configuration) -> Recipe:
    """The recipe of a configuration, its cases not yet named.

    Raises:
        BadInput: ``bad-recipe`` or ``no-recipe``.
    """
    settings = spec.settings | configuration.settings
    return load_recipe(str(settings.get(RECIPE_KEY, spec.recipe)), overrides(settings))


def run_record(record: SweepRecord, configuration: Configuration, key: TrialKey) -> RunRecord:
    """What a trial's run is asked to do: its recipe on its fold, with its repeat's seed, for all bones of the sweep."""
    fold = record.folds[key.fold]
    return record_on(record, configuration, fold.training, fold.validation, repeat=key.repeat)


def record_on(
    record: SweepRecord,
    configuration: Configuration,
    training: tuple[str, ...],
    validation: tuple[str, ...],
    *,
    repeat: int = 0,
) -> RunRecord:
    """What a run of a configuration on given cases is asked to do."""
    recipe = recipe_of(record.spec, configuration)
    cases = {"training_cases": training, "validation_cases": validation, "seed": recipe.training.seed + repeat}
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update=cases)})
    return RunRecord(
        recipe=locate_weights(recipe),
        dataset=record.dataset,
        training=training,
        validation=validation,
        labels=record.labels,
    )


def _checked_recipes(spec: SweepSpec, where: str) -> list[Recipe]:
    """The recipes that the search can come to; of what is drawn later, those of the ends."""
    return [_checked_recipe(spec, each, where) for each in (*extremes(spec.space), *_listed(spec))]


def _checked_recipe(spec: SweepSpec, configuration: Configuration, where: str) -> Recipe:
    try:
        recipe = recipe_of(spec, configuration)
    except BadInput as error:
        what = f"{configuration.title}: {error.what}"
        raise BadInput("bad-sweep", what, where=where, remedy=error.remedy) from error
    if spec.scheduler.kind != "none" and recipe.training.minutes is not None:
        what = f"{configuration.title}: a run of {recipe.training.minutes:g} minutes has no rungs"
        remedy = "set training.steps and training.minutes=null, or scheduler.kind none"
        raise BadInput("bad-sweep", what, where=where, remedy=remedy)
    return recipe


def _listed(spec: SweepSpec) -> list[Configuration]:
    """The configurations that are known beforehand."""
    if spec.search.method == "tpe":
        return []
    return list(draw_configurations(spec.space, spec.search.samples, spec.search.seed))


def num_configurations(spec: SweepSpec) -> int:
    """How many configurations a sweep comes to."""
    return len(_listed(spec)) or spec.search.samples
