"""Where a run's numbers go: metrics.jsonl in the run's folder, TensorBoard events beside it, MLflow on request."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict
from torch.utils.tensorboard.writer import SummaryWriter

from osteon.core.errors import BadInput
from osteon.jobs.run_folder import RunFolder
from osteon.storage.stores import Store

FLUSH_S = 3.0  # metrics.jsonl is rewritten at most this often between checkpoints
EVENTS = "tensorboard"

Values = dict[str, float]


class Tracker(Protocol):
    """Takes note of numbers."""

    def add(self, kind: str, step: int, values: Values) -> None:
        """Numbers of one kind (``train``, ``validation``) at a step."""
        ...

    def flush(self) -> None:
        """Make everything added so far visible to others."""
        ...

    def close(self) -> None:
        """Flush for the last time."""
        ...


class MetricsFile:
    """metrics.jsonl: one line per entry; lines after the step a run goes on from are dropped."""

    def __init__(self, folder: RunFolder, from_step: int) -> None:
        self._folder = folder
        self._lines: list[dict[str, Any]] = folder.metrics(up_to_step=from_step)
        self._flushed = 0.0

    def add(self, kind: str, step: int, values: Values) -> None:
        """Append a line; written at once if the last write is some seconds ago."""
        self._lines.append({"kind": kind, "step": step, **values})
        if time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Rewrite the file."""
        self._folder.write_metrics(self._lines)
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Rewrite the file."""
        self.flush()


class TensorBoard:
    """Event files, written to scratch and copied to the run's folder: an object store cannot be appended to."""

    def __init__(self, store: Store, from_step: int) -> None:
        self._store = store
        self._scratch = tempfile.TemporaryDirectory(prefix="osteon-events-")
        # purge_step hides what a run that was killed wrote after the checkpoint this one goes on from.
        self._writer = SummaryWriter(self._scratch.name, purge_step=from_step + 1)

    def add(self, kind: str, step: int, values: Values) -> None:
        """One scalar per value."""
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def flush(self) -> None:
        """Copy the event file."""
        self._writer.flush()
        for path in Path(self._scratch.name).iterdir():
            self._store.write_bytes(f"{EVENTS}/{path.name}", path.read_bytes())

    def close(self) -> None:
        """Copy the event file and remove the scratch."""
        self.flush()
        self._writer.close()
        self._scratch.cleanup()


class MLflowTarget(BaseModel):
    """Where on an MLflow server a run belongs.

    Attributes:
        uri: of the server or folder.
        experiment: name of the experiment.
        parent: MLflow's id of the run that this one is part of, if any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    experiment: str
    parent: str | None = None


class MLflow:
    """A run on an MLflow server or folder; the same MLflow run goes on when training is resumed.

    Args:
        target: where it belongs.
        run_url: tells this run from others.
    """

    def __init__(self, target: MLflowTarget, run_url: str) -> None:
        import mlflow

        self._client = mlflow.MlflowClient(tracking_uri=target.uri)
        experiment = self._client.get_experiment_by_name(target.experiment)
        self._experiment = experiment.experiment_id if experiment else self._client.create_experiment(target.experiment)
        found = self._client.search_runs([self._experiment], filter_string=f"tags.osteon_run = '{run_url}'")
        tags = {"osteon_run": run_url} | ({} if target.parent is None else {"mlflow.parentRunId": target.parent})
        run = found[0] if found else self._client.create_run(self._experiment, tags=tags)
        self.run_id: str = run.info.run_id

    def add(self, kind: str, step: int, values: Values) -> None:
        """One metric per value."""
        for name, value in values.items():
            # A slash would make a folder of what is a file already: dice, and dice/femur_left.
            self._client.log_metric(self.run_id, f"{kind}.{name.replace('/', '.')}", value, step=step)

    def flush(self) -> None:
        """Nothing to do: every metric is sent when added."""

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self.run_id)


class Tracking:
    """All trackers of a run; a context that closes them."""

    def __init__(self, folder: RunFolder, *, from_step: int, mlflow: MLflowTarget | None) -> None:
        # MLflow first: its server may refuse, and then there is no scratch to clean up.
        self._trackers: list[Tracker] = [] if mlflow is None else [MLflow(mlflow, folder.store.url)]
        self._trackers += [MetricsFile(folder, from_step), TensorBoard(folder.store, from_step)]

    def add(self, kind: str, step: int, values: Values) -> None:
        """Numbers of one kind at a step."""
        for tracker in self._trackers:
            tracker.add(kind, step, values)

    def flush(self) -> None:
        """Make everything added so far visible."""
        for tracker in self._trackers:
            tracker.flush()

    def __enter__(self) -> Tracking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self._trackers:
            tracker.close()


def check_mlflow() -> None:
    """Refuse early what would fail on the worker.

    Raises:
        BadInput: ``no-mlflow``.
    """
    try:
        import mlflow
    except ImportError as error:
        raise BadInput(
            "no-mlflow", "MLflow is not installed", where="--mlflow", remedy="pip install 'osteon[mlflow]'"
        ) from error
    del mlflow
