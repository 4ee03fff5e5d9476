"""`osteon phantom`: scans of made-up people with every bone labelled, to try everything else on."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.telemetry.progress import progress_bar

if TYPE_CHECKING:
    from osteon.data.phantom import WrittenPhantom

_QUIRKS_HELP = (
    "Odd DICOM series, by name, comma-separated, dealt out to the cases in turn; or 'all'. To be read right: "
    "descending, shuffled, empty-uids, intercept-1000, padding, rle, jpeg, jpegls, jpeg2000, deflated, localizer, "
    "duplicate-slice. To be refused: missing-slice, truncated, zero-spacing, gantry-tilt."
)


class ScanFormat(StrEnum):
    """How the scans are written."""

    DICOM = "dicom"
    NIFTI = "nifti"


def phantom(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to write to: new, empty, or of the same call.")],
    cases: Annotated[int, typer.Option(help="How many phantoms.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same phantoms on every machine.")] = 0,
    format: Annotated[ScanFormat, typer.Option(help="Scans as DICOM series or NIfTI files.")] = ScanFormat.NIFTI,
    bones: Annotated[int, typer.Option(help="6: a pelvis; 24: abdomen and pelvis; 56: head and trunk.")] = 6,
    quirks: Annotated[str, typer.Option(help=_QUIRKS_HELP)] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the files for machines.")] = False,
) -> None:
    """Write digital phantoms: CT scans of made-up skeletons in made-up bodies, each with its labels.

    `osteon ingest DEST DATASET` makes a dataset of them. The same command again changes nothing.
    """
    from osteon.data.phantom import parse_quirks, write_phantoms

    wanted = parse_quirks(quirks)
    with progress_bar("phantoms", max(cases, 0), shown=not as_json) as bar:
        written = write_phantoms(
            dest,
            cases=cases,
            seed=seed,
            format=format.value,
            bones=bones,
            quirks=wanted,
            on_case=lambda case: bar.advance(note=case.case_id),
        )
    if as_json:
        typer.echo(json.dumps([_as_json(case) for case in written], indent=1))
    else:
        typer.echo(f"{dest}: {len(written)} phantoms of {bones} bones, seed {seed}")


def _as_json(case: WrittenPhantom) -> dict[str, str]:
    return {"case_id": case.case_id, "scan": str(case.scan), "labels": str(case.labels), "quirk": case.quirk}
