"""The folder a sweep leaves, behind a URL: what was asked, its configurations, a run's folder for every trial, results.

``sweep.json`` is put first and only once; a trial is over when its ``outcome.json`` is there, and not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.errors import BadInput, Conflict, CorruptData
from osteon.core.labels import LabelTable
from osteon.evaluation.folds import Fold, Folds, splits_json
from osteon.evaluation.report import REPORT_JSON
from osteon.evaluation.summary import Report
from osteon.jobs.run_folder import RunFolder
from osteon.recipes.space import Configuration
from osteon.recipes.sweep import SweepSpec
from osteon.storage.stores import Store

RECORD = "sweep.json"
OUTCOME = "outcome.json"
SPLITS = "splits_final.json"
RESULTS = "results.parquet"
PAGE = "sweep.html"
SUMMARY = "summary.json"
REPORT = "report"

Model = TypeVar("Model", bound=BaseModel)
Status = Literal["done", "failed", "stopped"]


class TrialKey(BaseModel):
    """Which trial of a sweep: a configuration on a fold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration: str
    repeat: int
    fold: int

    @property
    def name(self) -> str:
        """``c000-f0``, or ``c000-r1-f0`` from the second repeat on."""
        return "-".join([self.configuration, *([f"r{self.repeat}"] if self.repeat else []), f"f{self.fold}"])


class Outcome(BaseModel):
    """How a trial ended.

    Attributes:
        status: ``done``; ``failed``, which a resumed sweep tries again; ``stopped`` by the sweep's scheduler.
        error: why it failed.
        dice: mean Dice of its validation cases; of the last validation if it was stopped.
        seconds: wall time trained and evaluated, over all interruptions.
        cpus: processors it held.
        gpus: GPUs it held.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    error: str | None = None
    dice: float | None = None
    seconds: float
    cpus: float
    gpus: float


class SweepRecord(BaseModel):
    """What a sweep was asked to do, resolved once: a resumed one does the same though the dataset may have grown.

    Attributes:
        spec: every choice.
        dataset: name of the dataset.
        dataset_url: where it was.
        test: cases held out of all folds.
        folds: training and validation cases of each.
        chosen: numbers of the folds that are run.
        labels: name by id of the bones learnt, in every fold the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: SweepSpec
    dataset: str
    dataset_url: str
    test: tuple[str, ...]
    folds: tuple[Fold, ...]
    chosen: tuple[int, ...]
    labels: dict[int, str]

    @property
    def table(self) -> LabelTable:
        """The bones learnt."""
        return LabelTable.of(self.labels)

    @property
    def learnt(self) -> tuple[str, ...]:
        """Cases of all folds, sorted: all but the test set."""
        return tuple(sorted({case_id for fold in self.folds for ids in fold for case_id in ids}))

    def keys(self, configuration: str) -> tuple[TrialKey, ...]:
        """The trials of a configuration, one repeat after the other."""
        return tuple(
            TrialKey(configuration=configuration, repeat=repeat, fold=fold)
            for repeat in range(self.spec.repeats)
            for fold in self.chosen
        )


@dataclass(frozen=True)
class SweepFolder:
    """The places in a sweep's folder.

    Attributes:
        store: the folder.
    """

    store: Store

    def claim(self, record: SweepRecord, folds: Folds) -> None:
        """Make the folder this sweep's.

        Raises:
            Conflict: ``sweep-exists`` if a sweep was started there before.
        """
        if not self.store.create_bytes(RECORD, _json(record)):
            raise Conflict(
                "sweep-exists",
                "a sweep was started here before",
                where=self.store.url,
                remedy="go on with it by --resume, or choose another --out",
            )
        self.store.write_bytes(SPLITS, splits_json(folds).encode())

    def exists(self) -> bool:
        """Whether a sweep was started here."""
        return self.store.exists(RECORD)

    def record(self) -> SweepRecord:
        """What the sweep was asked to do.

        Raises:
            BadInput: ``no-sweep`` if none was started here.
            CorruptData: ``bad-sweep-folder`` if its record cannot be read.
        """
        found = self._read(RECORD, SweepRecord)
        if found is None:
            raise BadInput(
                "no-sweep",
                "no sweep was started here",
                where=self.store.url,
                remedy="give the folder of a sweep, or start one",
            )
        return found

    def add_configuration(self, configuration: Configuration) -> None:
        """Keep what a configuration is, before its first trial is started."""
        self.store.write_bytes(f"configurations/{configuration.id}.json", _json(configuration))

    def configurations(self) -> list[Configuration]:
        """Those that were kept, in order."""
        names = [name for name in self.store.child("configurations").list_children() if name.endswith(".json")]
        found = [self._read(f"configurations/{name}", Configuration) for name in names]
        return sorted((each for each in found if each is not None), key=lambda each: int(each.id[1:]))

    def run(self, key: TrialKey) -> RunFolder:
        """The folder of a trial's run."""
        return RunFolder(self.store.child(f"trials/{key.name}"))

    def outcome(self, key: TrialKey) -> Outcome | None:
        """How a trial ended, if it did."""
        return self._read(f"trials/{key.name}/{OUTCOME}", Outcome)

    def write_outcome(self, key: TrialKey, outcome: Outcome) -> None:
        """Keep how a trial ended."""
        self.store.write_bytes(f"trials/{key.name}/{OUTCOME}", _json(outcome))

    def report_url(self, key: TrialKey) -> str:
        """Where the evaluation of a trial lies."""
        return f"{self.run(key).store.url}/{REPORT}"

    def report(self, key: TrialKey) -> Report | None:
        """The evaluation of a trial, if it was made."""
        return self._read(f"trials/{key.name}/{REPORT}/{REPORT_JSON}", Report)

    def _read(self, key: str, kind: type[Model]) -> Model | None:
        try:
            return kind.model_validate_json(self.store.read_bytes(key))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise CorruptData("bad-sweep-folder", f"{key} is damaged at {place!r}", where=self.store.url) from error


def _json(value: BaseModel) -> bytes:
    return value.model_dump_json(indent=2).encode()
