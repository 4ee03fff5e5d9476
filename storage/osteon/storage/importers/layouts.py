"""Chooses the layout of each source and joins what the layouts found into one plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.storage.importers import msd, nnunet, scans, totalsegmentator, verse
from osteon.storage.importers.names import labelmap, masks, names_near, read_names
from osteon.storage.importers.plan import CaseSource, Found, ImportPlan, table_of
from osteon.storage.readers import LabelSource

Planner = Callable[[Path, Mapping[int, str] | None], Found]

LAYOUTS: dict[str, Planner] = {
    "scans": scans.plan,
    "nnunet": nnunet.plan,
    "msd": msd.plan,
    "totalsegmentator": totalsegmentator.plan,
    "verse": verse.plan,
}


def plan_import(
    sources: Sequence[Path], *, layout: str = "auto", labels: Path | None = None, labels_map: Path | None = None
) -> ImportPlan:
    """What an import of some files, folders or datasets would do; headers are read, voxels are not.

    ``layout`` is one of `LAYOUTS` or ``auto``, which looks at each source. ``labels`` is the label file, or the folder
    of masks, of the one scan in the sources; ``labels_map`` a JSON file from ids to names that overrides those found.

    Raises:
        BadInput: ``layout``, ``no-source``, ``labels-of-many``, ``no-label-names``, ``bad-json``, ``bad-label-map``.
    """
    if layout != "auto" and layout not in LAYOUTS:
        names = ", ".join(["auto", *LAYOUTS])
        raise BadInput("layout", f"there is no layout {layout!r}", remedy=f"choose one of {names}")
    for source in sources:
        if not source.exists():
            raise BadInput("no-source", "there is no such file or folder", where=str(source))
    label_map = read_names(labels_map) if labels_map is not None else None
    if labels is not None:
        return _plan_one(sources, layout, _label_source(labels, label_map))
    layouts = [_recognise(source) if layout == "auto" else layout for source in sources]
    found = [LAYOUTS[name](source, label_map) for name, source in zip(layouts, sources, strict=True)]
    return _join("+".join(dict.fromkeys(layouts)), found)


def _recognise(source: Path) -> str:
    for name, module in (("nnunet", nnunet), ("msd", msd), ("verse", verse), ("totalsegmentator", totalsegmentator)):
        if source.is_dir() and module.recognises(source):
            return name
    return "scans"


def _plan_one(sources: Sequence[Path], layout: str, labels: LabelSource) -> ImportPlan:
    """The plan of a single scan whose labels were given."""
    if layout not in ("auto", "scans"):
        raise BadInput("layout", f"the layout {layout} knows its labels", remedy="leave out --labels, or --layout")
    found = [scans.plan(source, {}) for source in sources]
    cases = [case for part in found for case in part.cases if isinstance(case, CaseSource)]
    if len(cases) != 1:
        what = f"labels were given for one scan, the sources hold {len(cases)}"
        raise BadInput("labels-of-many", what, remedy="name the scan's own file or folder")
    joined = _join("scans", found)
    whole = tuple(replace(case, labels=labels) if isinstance(case, CaseSource) else case for case in joined.cases)
    return replace(joined, cases=whole, table=table_of(whole))


def _label_source(path: Path, names: Mapping[int, str] | None) -> LabelSource:
    if path.is_dir():
        source = masks(path)
        if source is None:
            raise BadInput("no-source", "the folder holds no masks", where=str(path))
        return source
    if not path.exists():
        raise BadInput("no-source", "there is no such file or folder", where=str(path))
    return labelmap(path, names_near(path) if names is None else names)


def _join(layout: str, found: Sequence[Found]) -> ImportPlan:
    cases = tuple(case for part in found for case in part.cases)
    splits = [part.splits for part in found if part.splits is not None]
    notes = tuple(note for part in found for note in part.notes)
    return ImportPlan(layout, cases, table_of(cases), splits[0] if len(splits) == 1 else None, notes)
