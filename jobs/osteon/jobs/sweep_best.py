"""The best configuration of a sweep as a model: an ensemble of its folds, or trained anew on the cases of all folds."""

from __future__ import annotations

import ray

from osteon.core.errors import BadInput, Conflict
from osteon.evaluation.summary import Report
from osteon.evaluation.sweep import TestResult
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.sweep_folder import SweepFolder, SweepRecord
from osteon.jobs.sweep_plan import record_on
from osteon.jobs.sweep_resources import Hold
from osteon.jobs.sweep_results import summary_of
from osteon.jobs.sweep_trial import evaluate_on_cluster
from osteon.jobs.train import carry_out
from osteon.recipes.bundle import ensemble_of, has_bundle, load_bundle, save_bundle
from osteon.recipes.space import Configuration
from osteon.storage.patience import patience
from osteon.storage.stores import Store, open_store


def judge_on_test(folder: SweepFolder, record: SweepRecord, configuration: str, dataset: str, hold: Hold) -> TestResult:
    """The ensemble of a configuration's folds, and each of them alone, on the cases that no fold saw.

    What was judged before an interruption is not judged again. Evaluations run in the Ray that is there.

    Args:
        folder: of the sweep.
        record: of the sweep; it has test cases.
        configuration: which is done on all folds.
        dataset: URL of the dataset.
        hold: what each evaluation holds.
    """
    place = folder.store.child(f"best/{configuration}")
    model = place.child("model")
    if not has_bundle(model):
        save_ensemble(folder, record, configuration, model)
    models = {"ensemble": model.url} | {key.name: folder.run(key).model.url for key in record.keys(configuration)}
    tasks = [
        evaluate_on_cluster(url, dataset, place.child(name).url, hold, record.test) for name, url in models.items()
    ]
    reports: dict[str, Report] = dict(zip(models, ray.get(tasks), strict=True))
    ensemble = reports.pop("ensemble")
    return TestResult(configuration=configuration, ensemble=ensemble, members=tuple(reports.values()))


def save_ensemble(folder: SweepFolder, record: SweepRecord, configuration: str, out: Store) -> str:
    """Write the models of a configuration's folds (and repeats) as one; its digest."""
    bundles = [load_bundle(folder.run(key).model.url) for key in record.keys(configuration)]
    recipe, table, network = ensemble_of(bundles)
    # Together they have learnt from all of these, so none of them may count as held out.
    cases = {"training_cases": record.learnt, "validation_cases": ()}
    recipe = recipe.model_copy(
        update={"name": f"{record.spec.name}-{configuration}", "training": recipe.training.model_copy(update=cases)}
    )
    return save_bundle(out, "", recipe, table, network, {})


def refit(
    folder: SweepFolder, record: SweepRecord, configuration: Configuration, out: Store, *, progress: bool = False
) -> str:
    """Train a configuration on the cases of all folds, for as many steps as on one, and write the model; its digest.

    The run is kept in the sweep's folder; after an interruption it goes on from its last checkpoint.
    """
    run = RunFolder(folder.store.child(f"refit/{configuration.id}"))
    if not run.exists():
        run.claim(record_on(record, configuration, record.learnt, ()))
    with patience():
        carry_out(run, record.dataset_url, progress=progress)
    bundle = load_bundle(run.model.url)
    return save_bundle(out, "", bundle.recipe, bundle.table, bundle.network, {})


def best_model(
    sweep_url: str, out_url: str, *, configuration: str | None = None, anew: bool = False, progress: bool = False
) -> Configuration:
    """Make a model of a sweep's best configuration, or of a named one; which it was.

    Args:
        sweep_url: the sweep's folder.
        out_url: where the model goes.
        configuration: its id; None for the best.
        anew: train on the cases of all folds instead of joining the folds' models.
        progress: whether to show a bar.

    Raises:
        BadInput: ``no-sweep``; ``no-best`` if no configuration is done on all folds, or the named one is not.
        Conflict: ``model-exists``.
    """
    folder, out = SweepFolder(open_store(sweep_url)), open_store(out_url)
    if has_bundle(out):
        raise Conflict("model-exists", "there is a model already", where=out_url, remedy="choose another --out")
    record = folder.record()
    chosen = _chosen(folder, record, configuration)
    if anew:
        refit(folder, record, chosen, out, progress=progress)
    else:
        save_ensemble(folder, record, chosen.id, out)
    return chosen


def _chosen(folder: SweepFolder, record: SweepRecord, wanted: str | None) -> Configuration:
    ranked = [row.configuration for row in summary_of(folder, record).configurations if row.rank is not None]
    found = wanted or (ranked[0] if ranked else "")
    if found not in ranked:
        what = f"{wanted} is not done on all folds" if wanted else "no configuration is done on all folds"
        remedy = f"choose among {', '.join(ranked)}" if ranked else "go on with the sweep by --resume"
        raise BadInput("no-best", what, where=folder.store.url, remedy=remedy)
    return next(each for each in folder.configurations() if each.id == found)
