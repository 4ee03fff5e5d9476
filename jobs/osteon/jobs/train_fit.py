"""Bringing a claimed run forward by Ray Train: by workers of its own, or by one in a process that is there already."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError
from ray.train.v2.torch.torch_trainer import TorchTrainer

from osteon.core.errors import OsteonError, StoreError
from osteon.jobs.background import Background
from osteon.jobs.train_share import Share
from osteon.jobs.train_worker import WorkerTask, train_worker

MAX_FAILURES = 3  # worker failures after which a run is given up; it can still be resumed
POLL_S = 1.0


def fit(task: WorkerTask, share: Share, look: Callable[[], None]) -> None:
    """Train in the Ray that is there, to the end of the run's plan; ``look`` is called each second meanwhile.

    One worker alone has nobody to be joined with. It is a task, which takes over a process that Ray has already where
    it can: trials of a sweep follow each other without starting and importing everything again.

    Raises:
        OsteonError: ``training-failed``, or what a worker refused.
    """
    try:
        if share.workers == 1:
            _fit_alone(task, share, look)
        else:
            _fit_together(task, share, look)
    except (TrainingFailedError, RayError) as error:
        raise _as_ours(error) from error


def _fit_alone(task: WorkerTask, share: Share, look: Callable[[], None]) -> None:
    cpus, gpus = share.per_worker()
    begun = ray.remote(train_alone).options(
        num_cpus=cpus,
        num_gpus=gpus,
        max_retries=MAX_FAILURES,
        retry_exceptions=[StoreError],
        scheduling_strategy="DEFAULT",  # not inside the next to nothing that a sweep's trial itself holds
    )
    training = begun.remote(task)
    while not ray.wait([training], timeout=POLL_S)[0]:
        look()
    look()
    ray.get(training)


def train_alone(task: WorkerTask) -> None:
    """What a worker without others does."""
    _run(TorchTrainer(train_worker, train_loop_config=task.model_dump(), scaling_config=ScalingConfig(num_workers=0)))


def _fit_together(task: WorkerTask, share: Share, look: Callable[[], None]) -> None:
    cpus, gpus = share.per_worker()
    with tempfile.TemporaryDirectory(prefix="osteon-ray-", ignore_cleanup_errors=True) as scratch:
        trainer = TorchTrainer(
            train_worker,
            train_loop_config=task.model_dump(),
            scaling_config=ScalingConfig(
                num_workers=share.workers,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": cpus} | ({"GPU": gpus} if gpus else {}),
            ),
            # Ray keeps its own small files in scratch; checkpoints and metrics are ours, in the run's folder.
            run_config=RunConfig(
                name="train",
                storage_path=scratch,
                failure_config=FailureConfig(max_failures=MAX_FAILURES),
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )
        # Beside the main thread: Ray Train's controller shows no progress and swallows Ctrl-C.
        Background(partial(_run, trainer)).follow(POLL_S, look)


def _run(trainer: TorchTrainer) -> None:
    result: Any = trainer.fit()  # Ray types it as its older Result, which had no return_value
    refusal: OsteonError | None = result.return_value
    if refusal is not None:
        raise refusal


def _as_ours(error: Exception) -> OsteonError:
    """What a worker refused, or that the training failed and how."""
    failures = list(error.worker_failures.values()) if isinstance(error, WorkerGroupError) else [error]
    for failure in failures:
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, OsteonError) and not isinstance(cause, RayTaskError):  # which is both, for catching
                return cause
            cause = getattr(cause, "cause", None) or cause.__cause__
    first = str(failures[0] if failures else error).strip().splitlines()
    return OsteonError(
        "training-failed",
        first[-1] if first else type(error).__name__,
        remedy="go on from the last checkpoint by --resume",
    )
