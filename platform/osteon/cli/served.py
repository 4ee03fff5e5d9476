"""`osteon segment --server`: the bones of one scan, found by a service and fetched as a file."""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osteon.core.errors import BadInput, OsteonError
from osteon.telemetry.progress import progress_bar

if TYPE_CHECKING:
    from types import ModuleType

    from osteon.serve.client import Client
    from osteon.serve.schemas import Format, Model, Segmentation

FORMATS: dict[str, Format] = {".nii.gz": "nifti", ".nrrd": "nrrd", ".dcm": "dicomseg", ".zarr": "omezarr"}


@dataclass(frozen=True)
class Served:
    """What a service found, and the seconds it took, the sending included."""

    segmentation: Segmentation
    seconds: float


def segment_at(server: str, model: str, input_: str, output: str, *, shown: bool) -> Served:
    """Have a service segment a scan, and write its labels as `osteon segment` would; nothing of it stays there.

    Raises:
        BadInput: ``output-format``, and what the service refuses.
        BadScan: as the service reads it.
        StoreError: ``no-server``.
    """
    suffix = _suffix_of(output)
    with client_module().Client(server) as client:
        described = client.model(model)  # an unknown one is told before a scan is sent
        started = time.perf_counter()
        id_ = client.send(input_, model=model).id
        try:
            segmentation = _follow(client, id_, shown=shown)
            seconds = time.perf_counter() - started
            _write(client, segmentation, described, output, suffix)
        finally:  # also when interrupted: nobody else will ask for it
            with suppress(OsteonError):
                client.delete(id_)
    return Served(segmentation, seconds)


def _suffix_of(output: str) -> str:
    for suffix in FORMATS:
        if output.rstrip("/").lower().endswith(suffix) and (suffix == ".zarr" or "://" not in output):
            return suffix
    remedy = f"end it in one of {', '.join(FORMATS)}; only a .zarr may be a URL"
    raise BadInput("output-format", f"{output!r} cannot be written from a server's answer", remedy=remedy)


def _follow(client: Client, id_: str, *, shown: bool) -> Segmentation:
    percent = 0.0
    with progress_bar("segmenting %", 100, shown=shown) as bar:

        def note(segmentation: Segmentation) -> None:
            nonlocal percent
            bar.advance(100 * segmentation.progress - percent, segmentation.state)
            percent = 100 * segmentation.progress

        return client.follow(id_, note)


def _write(client: Client, segmentation: Segmentation, model: Model, output: str, suffix: str) -> None:
    if suffix == ".zarr":
        with tempfile.TemporaryDirectory(prefix="osteon-") as scratch:
            archive = Path(scratch, "labels.zip")
            client.fetch(segmentation.id, archive, format="omezarr")
            _unpack(archive, output)
        return
    if suffix == ".nii.gz":
        names = {bone.id: bone.name for bone in model.bones} | {bone.id: bone.name for bone in segmentation.bones}
        text = json.dumps({str(id_): names[id_] for id_ in sorted(names)}, indent=1)
        Path(f"{output}.labels.json").write_text(text)
    client.fetch(segmentation.id, output, format=FORMATS[suffix])


def _unpack(archive: Path, url: str) -> None:
    """Put a zipped case where it belongs, replacing what is there; its root last, which commits it."""
    from osteon.storage.manifest import ROOT_KEY
    from osteon.storage.stores import open_store

    folder, name = open_store(url.rstrip("/")).parent_and_name
    folder.delete(name)
    with zipfile.ZipFile(archive) as opened:
        keys = {info.filename.partition("/")[2]: info for info in opened.infolist()}
        for key in sorted(keys, key=lambda key: key == ROOT_KEY):
            folder.write_bytes(f"{name}/{key}", opened.read(keys[key]))


def client_module() -> ModuleType:
    """`osteon.serve.client`, if what it needs is installed.

    Raises:
        OsteonError: ``not-installed``.
    """
    try:
        from osteon.serve import client
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("osteon"):
            raise
        remedy = "install it: pip install 'osteon[serve]'"
        raise OsteonError("not-installed", f"a server needs {error.name}", remedy=remedy) from None
    return client
