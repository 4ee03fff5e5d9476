"""Layout ``msd``: tasks of the Medical Segmentation Decathlon.

``dataset.json`` lists ``training: [{image, label}]`` and ``test: [image]``, with ``labels`` from id to name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.storage.importers.names import parse_names, read_json
from osteon.storage.importers.nnunet import make_case
from osteon.storage.importers.plan import CaseSource, Found
from osteon.storage.readers import Rejected, volume_stem


def recognises(root: Path) -> bool:
    """Whether the folder is such a task."""
    return (root / "dataset.json").is_file() and "training" in read_json(root / "dataset.json")


def plan(root: Path, names: Mapping[int, str] | None) -> Found:
    """The task's training cases, and its test images without labels.

    Raises:
        BadInput: ``bad-json``, ``bad-label-map``, ``not-ct``.
    """
    where = root / "dataset.json"
    description = read_json(where)
    modality = description.get("modality", {"0": "CT"})
    if not isinstance(modality, dict) or [str(value).upper() for value in modality.values()] != ["CT"]:
        raise BadInput("not-ct", f"its modality is {modality}, Osteon reads one channel of CT", where=str(where))
    labels = description.get("labels")
    if names is None:
        names = parse_names(labels if isinstance(labels, dict) else {}, where)
    training, test = (_list(description, key, where) for key in ("training", "test"))
    cases = [_case(root, entry, names) for entry in training]
    cases += [_case(root, {"image": entry}, names) for entry in test]
    return Found(tuple(cases))


def _list(description: dict[str, object], key: str, where: Path) -> list[object]:
    entries = description.get(key, [])
    if not isinstance(entries, list):
        raise BadInput("bad-json", f"{key} is no list", where=str(where))
    return entries


def _case(root: Path, entry: object, names: Mapping[int, str]) -> CaseSource | Rejected:
    paths = entry if isinstance(entry, dict) else {}
    image, label = (_inside(root, paths.get(key)) for key in ("image", "label"))
    if image is None or ("label" in paths and label is None):
        return Rejected(str(root / "dataset.json"), "no-scan", "an entry names no files inside of the dataset")
    missing = root / "no-label"
    return make_case(volume_stem(image), image, label or missing, names, needs_labels="label" in paths)


def _inside(root: Path, name: object) -> Path | None:
    """The path that an entry names, unless it leads out of the dataset."""
    if not isinstance(name, str):
        return None
    path = root / name
    return path if path.resolve().is_relative_to(root.resolve()) else None
