"""What can be measured: label files, stored cases, datasets; each opens as labels on a grid, with HU if known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from osteon.core.errors import BadInput, BadScan
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.storage.case import open_case
from osteon.storage.dataset import DATASET_KEY, Dataset
from osteon.storage.importers.bare_labels import find_bare_labels, full_table
from osteon.storage.plan import case_prefix
from osteon.storage.readers import (
    LabelSource,
    Rejected,
    ScanSource,
    find_scans,
    open_scan,
    read_labels,
    read_labels_alone,
    volume_stem,
    volume_suffix,
)

ZARR = ".zarr"


@dataclass(frozen=True)
class Labelled:
    """Labels in memory.

    Attributes:
        labels: label ids z, y, x, LPS.
        grid: where they lie.
        table: what the ids mean.
        hu: the scan on the same grid; None if it is not known.
    """

    labels: Array
    grid: Grid
    table: LabelTable
    hu: Array | None


@dataclass(frozen=True)
class LabelFile:
    """A label file or a folder of one-structure masks, with its scan if that is known.

    Attributes:
        name: what its results are called.
        path: of the labels.
        image: of the scan: a file or a DICOM folder.
        labels_map: a JSON file of label names; without one, those in the file or beside it are taken.
    """

    name: str
    path: Path
    image: Path | None
    labels_map: Path | None

    @property
    def source(self) -> str:
        """Where it is."""
        return str(self.path)

    def open(self) -> Labelled:
        """Read the labels, and the scan if there is one.

        Raises:
            BadInput: ``no-source``, ``no-label-names`` and what a labels map is refused for; ``several-labels``,
                ``several-scans`` or ``no-scan``.
            BadScan: what the readers refuse; ``label-grid`` if labels and scan lie on different grids.
        """
        sources = find_bare_labels(self.path, self.labels_map)
        if len(sources) != 1:
            what, remedy = f"labels of {len(sources)} bodies are there", "name them one by one"
            raise BadInput("several-labels", what, where=self.source, remedy=remedy)
        source, table = sources[0], full_table(sources)
        with TemporaryDirectory(prefix="osteon-") as scratch:
            if self.image is None:
                alone = read_labels_alone(source, table, scratch=Path(scratch))
                return Labelled(alone.read(), alone.grid, table, None)
            return _with_scan(source, table, self.image, Path(scratch))


@dataclass(frozen=True)
class Case:
    """A stored case with labels; its scan is always known.

    Attributes:
        name: what its results are called.
        source: its URL.
    """

    name: str
    source: str

    def open(self) -> Labelled:
        """Read labels and scan.

        Raises:
            BadInput: ``no-case`` or ``no-labels``.
            CorruptData: what was stored is damaged.
        """
        stored = open_case(self.source)
        whole = (0, 0, 0), stored.grid.shape
        labels, hu = stored.labels().read(*whole), stored.image().read(*whole)
        return Labelled(labels.result(), stored.grid, stored.table, hu.result())


Subject = LabelFile | Case


def find_subjects(
    places: Sequence[str], *, cases: Sequence[str] | None, image: Path | None, labels_map: Path | None
) -> list[Subject]:
    """What the places hold: label files, folders of masks, cases (``….zarr``), datasets' labelled cases; reads nothing.

    Raises:
        BadInput: ``cases-and-files``, ``image-and-several``, ``names-known``, ``no-cases``, ``same-name``,
            ``no-dataset``, ``no-case``.
    """
    subjects = [subject for place in places for subject in _subjects(place, cases, image, labels_map)]
    files = sum(isinstance(subject, LabelFile) for subject in subjects)
    if image is not None and not files == len(subjects) == 1:
        remedy = "measure one label file at a time; stored cases bring their own scan"
        raise BadInput("image-and-several", "one scan cannot belong to all of these labels", remedy=remedy)
    if labels_map is not None and files < len(subjects):
        raise BadInput("names-known", "stored cases name their own labels", remedy="leave --labels-map out")
    if cases is not None and files:
        raise BadInput("cases-and-files", "--cases names cases of a dataset, not files", remedy="leave --cases out")
    return _told_apart(subjects)


def _told_apart(subjects: Sequence[Subject]) -> list[Subject]:
    """The same; files of one name, each in a folder of its own, are called after their folders, too."""
    counts = Counter(subject.name for subject in subjects)
    named = [
        replace(subject, name=f"{subject.path.absolute().parent.name}-{subject.name}")
        if isinstance(subject, LabelFile) and counts[subject.name] > 1
        else subject
        for subject in subjects
    ]
    name, times = Counter(subject.name for subject in named).most_common(1)[0]
    if times > 1:
        remedy = "measure them one by one, each with its own --out"
        raise BadInput("same-name", f"several labels are called {name!r}", remedy=remedy)
    return named


def _subjects(
    place: str, cases: Sequence[str] | None, image: Path | None, labels_map: Path | None
) -> Iterator[Subject]:
    if place.rstrip("/").endswith(ZARR):
        yield Case(PurePosixPath(place).stem, place)
    elif "://" not in place and _is_label_file(Path(place)):
        path = Path(place)
        yield LabelFile(volume_stem(path), path, image, labels_map)
    else:
        yield from _cases_of(Dataset.open(place), cases)


def _cases_of(dataset: Dataset, named: Sequence[str] | None) -> Iterator[Case]:
    labelled = [row.case_id for row in dataset.catalog() if row.has_labels]
    chosen = labelled if named is None else named
    if not chosen:
        raise BadInput("no-cases", "the dataset has no labelled case", where=dataset.url)
    if unknown := sorted(set(chosen) - set(labelled)):
        remedy = "`osteon cases` lists those there are"
        raise BadInput("no-case", f"there is no labelled case {unknown[0]!r}", where=dataset.url, remedy=remedy)
    yield from (Case(case_id, dataset.store.child(*case_prefix(case_id).split("/")).url) for case_id in chosen)


def _is_label_file(path: Path) -> bool:
    return bool(volume_suffix(path)) or (path.is_dir() and not (path / DATASET_KEY).exists())


def _with_scan(source: LabelSource, table: LabelTable, image: Path, scratch: Path) -> Labelled:
    found = find_scans(image)
    scans = [each for each in found if isinstance(each, ScanSource)]
    if not scans and (refused := [each for each in found if isinstance(each, Rejected)]):
        raise BadScan(refused[0].code, refused[0].reason, where=refused[0].where)
    if len(scans) != 1:
        code, remedy = "several-scans" if scans else "no-scan", "name one DICOM, NIfTI, MHA or NRRD scan"
        raise BadInput(code, f"{len(scans)} scans are there", where=str(image), remedy=remedy)
    scan = open_scan(scans[0], scratch=scratch)
    labels = read_labels(source, scan, table)
    return Labelled(labels.read(), scan.grid, table, scan.read())
