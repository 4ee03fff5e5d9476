"""What the values of label files mean: names from a JSON map, from the file's own header, or from mask file names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.core.labels import BONES, canonical_name
from osteon.storage.importers.non_bones import NON_BONES
from osteon.storage.readers import LabelName, LabelSource, read_raster, volume_stem, volume_suffix
from osteon.storage.readers.nrrd import segment_names

_MAX_JSON = 1 << 24


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file of at most 16 MiB.

    Raises:
        BadInput: ``bad-json``.
    """
    try:
        if path.stat().st_size > _MAX_JSON:
            raise ValueError("the file is too large")
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput("bad-json", f"cannot be read as JSON ({error})", where=str(path)) from None
    if not isinstance(value, dict):
        raise BadInput("bad-json", f"holds a {type(value).__name__}, not an object", where=str(path))
    return value


def read_names(path: Path) -> dict[int, str]:
    """A label map: ``{"1": "femur_left"}`` or ``{"femur_left": 1}``, at the top or under ``labels``.

    Raises:
        BadInput: ``bad-json``, ``bad-label-map``.
    """
    content = read_json(path)
    labels = content.get("labels", content)
    if not isinstance(labels, dict):
        raise BadInput("bad-label-map", "``labels`` is no object", where=str(path))
    return parse_names(labels, path)


def parse_names(labels: Mapping[str, object], path: Path) -> dict[int, str]:
    """Names by value, background left out, of an id-to-name or name-to-id mapping.

    Raises:
        BadInput: ``bad-label-map``.
    """
    names: dict[int, str] = {}
    for key, value in labels.items():
        id_, name = (key, value) if isinstance(value, str) and key.isdecimal() else (value, key)
        if isinstance(id_, str) and id_.isdecimal() and len(id_) < 10:
            id_ = int(id_)
        if not isinstance(id_, int) or isinstance(id_, bool) or not isinstance(name, str):
            what = f"{key!r}: {value!r} is no pair of a whole number and a name"
            raise BadInput("bad-label-map", what, where=str(path), remedy='write it as {"1": "femur_left"}')
        if id_ in names:
            raise BadInput("bad-label-map", f"label {id_} has two names", where=str(path))
        names[id_] = name
    return {id_: name for id_, name in names.items() if id_ != 0}


def labelmap(path: Path, names: Mapping[int, str] | None) -> LabelSource:
    """A labelmap file; without ``names``, those in a .seg.nrrd's header are taken.

    Raises:
        BadInput: ``no-label-names``.
        BadScan: what the header's reader refuses.
    """
    raster = read_raster(path)
    if names is not None:
        entries = [LabelName(layer, id_, name) for layer in range(raster.layers) for id_, name in names.items()]
    else:
        own = segment_names(dict(raster.keys))
        entries = [LabelName(layer, value, _segment_name(*pair)) for (layer, value), pair in own.items()]
    if not entries:
        raise BadInput(
            "no-label-names",
            "nothing says what its label ids mean",
            where=str(path),
            remedy="give --labels-map FILE, or put a labels.json beside it",
        )
    return LabelSource("labelmap", (str(path),), tuple(entries), path.name)


def _segment_name(id_: str, name: str) -> str:
    """The segment's ID where that is a structure we know: TotalSegmentator writes its own names there."""
    plain = canonical_name(id_)
    return id_ if plain in BONES.ids or plain in NON_BONES else name


def masks(folder: Path) -> LabelSource | None:
    """A folder of one-structure masks, named after their structures; None if it holds no mask."""
    files = sorted(file for file in folder.iterdir() if volume_suffix(file) and not file.name.startswith("."))
    if not files:
        return None
    names = tuple(LabelName(number, 1, volume_stem(file)) for number, file in enumerate(files))
    return LabelSource("masks", tuple(map(str, files)), names, folder.name)


def names_near(path: Path) -> dict[int, str] | None:
    """The label map that belongs to a label file: its own sidecar, else labels.json beside it or one folder above."""
    sidecar = path.with_name(f"{path.name}.labels.json")
    for candidate in (sidecar, path.parent / "labels.json", path.parent.parent / "labels.json"):
        if candidate.is_file():
            return read_names(candidate)
    return None
