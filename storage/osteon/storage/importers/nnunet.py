"""Layout ``nnunet``: raw datasets of nnU-Net version 2.

``dataset.json`` (labels, channel_names, file_ending), ``imagesTr/ID_0000.nii.gz``, ``labelsTr/ID.nii.gz``, optionally
``imagesTs``, ``labelsTs`` and ``splits_final.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osteon.core.errors import BadInput, OsteonError
from osteon.storage.importers.names import labelmap, parse_names, read_json
from osteon.storage.importers.plan import CaseSource, Found, case_id_of
from osteon.storage.importers.splits import read_folds
from osteon.storage.readers import Rejected, ScanSource, find_scans

_CHANNEL = "_0000"


def recognises(root: Path) -> bool:
    """Whether the folder is such a dataset."""
    return (root / "dataset.json").is_file() and (root / "imagesTr").is_dir() and "training" not in _description(root)


def plan(root: Path, names: Mapping[int, str] | None) -> Found:
    """The dataset's training cases, and its test cases (with labels if ``labelsTs`` has them).

    Raises:
        BadInput: ``bad-json``, ``bad-label-map``, ``not-ct``, ``label-regions``.
    """
    description = _description(root)
    _check_channels(description, root)
    ending = description.get("file_ending", ".nii.gz")
    if not isinstance(ending, str):
        raise BadInput("bad-json", f"file_ending is {ending!r}", where=str(root / "dataset.json"))
    names = _names(description, root) if names is None else names
    cases: list[CaseSource | Rejected] = []
    for part in ("Tr", "Ts"):
        for image in sorted((root / f"images{part}").glob(f"*{_CHANNEL}{ending}")):
            identity = image.name.removesuffix(ending).removesuffix(_CHANNEL)
            label = root / f"labels{part}" / f"{identity}{ending}"
            cases.append(make_case(identity, image, label, names, needs_labels=part == "Tr"))
    folds = root / "splits_final.json"
    return Found(tuple(cases), read_folds(folds) if folds.is_file() else None)


def make_case(
    identity: str, image: Path, label: Path, names: Mapping[int, str], *, needs_labels: bool
) -> CaseSource | Rejected:
    """A case of an image and a label file, or what stands against it."""
    findings = find_scans(image) if image.is_file() else []
    if len(findings) != 1 or not isinstance(findings[0], ScanSource):
        return Rejected(str(image), "no-scan", "the dataset lists an image that is no volume file")
    if not label.is_file():
        if needs_labels:
            return Rejected(str(image), "no-labels", "the dataset holds no labels for this image")
        return CaseSource(case_id_of(identity), findings[0], None)
    try:
        return CaseSource(case_id_of(identity), findings[0], labelmap(label, names))
    except OsteonError as error:
        return Rejected(error.where, error.code, error.what)


def _description(root: Path) -> dict[str, object]:
    return read_json(root / "dataset.json")


def _check_channels(description: dict[str, object], root: Path) -> None:
    channels = description.get("channel_names", {"0": "CT"})
    values = list(channels.values()) if isinstance(channels, dict) else []
    if len(values) != 1 or str(values[0]).upper() != "CT":
        what = f"its channels are {values}, Osteon reads one channel of CT"
        raise BadInput("not-ct", what, where=str(root / "dataset.json"))


def _names(description: dict[str, object], root: Path) -> dict[int, str]:
    labels = description.get("labels")
    if not isinstance(labels, dict):
        raise BadInput("bad-label-map", "there are no labels", where=str(root / "dataset.json"))
    if "ignore" in labels or any(isinstance(value, list) for value in labels.values()):
        what = "labels made of several values, or an ignore label, have no meaning here"
        raise BadInput("label-regions", what, where=str(root / "dataset.json"), remedy="give --labels-map FILE")
    return parse_names(labels, root / "dataset.json")
