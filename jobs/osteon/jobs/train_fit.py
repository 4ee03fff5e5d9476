"""Bringing a claimed run forward by Ray Train: by its workers, or in one process of Ray's that is there already."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial

import ray
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

    Raises:
        OsteonError: ``training-failed``, or what a worker refused.
    """
    with tempfile.TemporaryDirectory(prefix="osteon-ray-", ignore_cleanup_errors=True) as scratch:
        # Beside the main thread: Ray Train's controller shows no progress and swallows Ctrl-C.
        try:
            Background(partial(_fit, _trainer(task, share, scratch))).follow(POLL_S, look)
        except TrainingFailedError as error:
            raise _as_ours(error) from error


def _fit(trainer: TorchTrainer) -> None:
    refusal: OsteonError | None = trainer.fit().return_value  # type: ignore[attr-defined]  # Ray types it as before
    if refusal is not None:
        raise refusal


def fit_alone(task: WorkerTask, share: Share, look: Callable[[], None]) -> None:
    """The same with one worker, in a process that Ray has already where it can: nothing is started or imported again.

    Raises:
        OsteonError: what the worker refused.
    """
    cpus, gpus = share.per_worker()
    begun = ray.remote(train_alone).options(
        num_cpus=cpus,
        num_gpus=gpus,
        max_retries=MAX_FAILURES,
        retry_exceptions=[StoreError],
        scheduling_strategy="DEFAULT",  # not inside the next to nothing that a trial itself holds
    )
    ref = begun.remote(task)
    while not ray.wait([ref], timeout=POLL_S)[0]:
        look()
    look()
    ray.get(ref)


def train_alone(task: WorkerTask) -> None:
    """What one worker does in a process that it shares with what came before and comes after."""
    _fit(TorchTrainer(train_worker, train_loop_config=task.model_dump(), scaling_config=ScalingConfig(num_workers=0)))


def _trainer(task: WorkerTask, share: Share, scratch: str) -> TorchTrainer:
    cpus, gpus = share.per_worker()
    return TorchTrainer(
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


def _as_ours(error: TrainingFailedError) -> OsteonError:
    failures = list(error.worker_failures.values()) if isinstance(error, WorkerGroupError) else []
    for failure in failures:
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, OsteonError):
                return cause
            cause = getattr(cause, "cause", None) or cause.__cause__
    first = str(failures[0] if failures else error).strip().splitlines()
    return OsteonError(
        "training-failed",
        first[-1] if first else type(error).__name__,
        remedy="go on from the last checkpoint by --resume",
    )
