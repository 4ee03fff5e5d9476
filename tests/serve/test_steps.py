import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from service import write_noise

from osteon.core.errors import BadInput
from osteon.core.volume import Array
from osteon.recipes.apply import read_scan, segment_scan
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.serve.intake import Intake
from osteon.serve.ledger import Ledger
from osteon.serve.schemas import Order, now
from osteon.serve.settings import ServeSettings
from osteon.serve.steps import Done, LoadedModel, Progress, Split, Work, result_case
from osteon.storage.writer import write_zarr


@pytest.fixture(scope="module")
def loaded(model: str) -> LoadedModel:
    bundle = load_bundle(model)
    return LoadedModel(bundle, segmenter_of(bundle, "torch"), threading.Lock())


@dataclass
class Desktop:
    """Carries out orders step by step."""

    settings: ServeSettings
    loaded: LoadedModel

    def work(self, file: Path, **wishes: object) -> Work:
        """An order for a file that was sent."""
        ledger = Ledger(self.settings.open_store())
        key = f"uploads/u/{file.name}"
        ledger.store.write_bytes(key, file.read_bytes())
        fields = {"id": "a1", "owner": "anna", "model": "tiny", "upload": key, "created": now(), "digest": "d"}
        order = Order.model_validate(fields | wishes)
        return Work(order, ledger.store, self.loaded, self.settings, Intake(self.settings, ledger.store))

    def expected(self, file: Path, scratch: Path) -> Array:
        """What `osteon segment` says."""
        scan = read_scan(file, scratch)
        return segment_scan(self.loaded.segmenter, self.loaded.bundle.recipe.prepare, scan)[0]


@pytest.fixture
def desktop(settings: ServeSettings, loaded: LoadedModel) -> Desktop:
    return Desktop(settings, loaded)


def labels_of(work: Work) -> Array:
    case = result_case(work.store, work.order.id)
    assert case is not None
    return case.labels().read((0, 0, 0), case.grid.shape).result()


def silent(_: Progress) -> None:
    pass


def test_a_small_scan_is_done_in_one_step(desktop: Desktop, scan: Path, tmp_path: Path) -> None:
    desktop.settings = desktop.settings.model_copy(update={"range_megavoxels": 10.0})
    work, said = desktop.work(scan), list[Progress]()

    done = work.begin(said.append)

    assert isinstance(done, Done)
    assert said[0].stage == "reading"
    assert {progress.stage for progress in said} == {"reading", "segmenting", "finishing"}
    expected = desktop.expected(scan, tmp_path)
    assert np.array_equal(labels_of(work), expected)
    assert {bone.id: round(bone.volume_ml / 0.0045) for bone in done.bones} == {
        int(id_): int((expected == id_).sum()) for id_ in np.unique(expected) if id_
    }
    assert done.formats == ("nifti", "nrrd", "omezarr", "stl", "json")


def test_ranges_give_the_same_labels_as_the_whole(desktop: Desktop, tmp_path: Path) -> None:
    file = write_noise(tmp_path / "long.nii.gz", depth=150)
    work = desktop.work(file)

    split = work.begin(silent)
    assert isinstance(split, Split)
    assert len(split.ranges) > 1
    for number in reversed(range(len(split.ranges))):
        work.label_range(number, silent)
    done = work.finish(silent)

    assert np.array_equal(labels_of(work), desktop.expected(file, tmp_path))
    assert done.bones


def test_an_ensemble_is_a_model_like_any(settings: ServeSettings, ensemble: str, tmp_path: Path) -> None:
    bundle = load_bundle(ensemble)
    desktop = Desktop(settings, LoadedModel(bundle, segmenter_of(bundle, "torch"), threading.Lock()))
    file = write_noise(tmp_path / "long.nii.gz", depth=150)
    work = desktop.work(file)

    split = work.begin(silent)
    assert isinstance(split, Split)
    for number in range(len(split.ranges)):
        work.label_range(number, silent)
    work.finish(silent)

    assert np.array_equal(labels_of(work), desktop.expected(file, tmp_path))


def test_a_step_that_is_done_again_changes_nothing_and_computes_nothing(desktop: Desktop, tmp_path: Path) -> None:
    work = desktop.work(write_noise(tmp_path / "long.nii.gz", depth=150))
    split = work.begin(silent)
    assert isinstance(split, Split)
    for number in range(len(split.ranges)):
        work.label_range(number, silent)
    first, kept = work.finish(silent), {key: work.store.read_bytes(key) for key in work.store.list("results")}

    idle = replace(work, model=replace(work.model, lock=cast(Any, _Forbidden())))
    assert idle.begin(silent) == first.model_copy(update={"seconds": first.seconds.model_validate({})})
    assert idle.finish(silent).bones == first.bones
    for number in range(len(split.ranges)):
        idle.label_range(number, silent)
    assert {key: work.store.read_bytes(key) for key in work.store.list("results")} == kept


def test_only_the_bones_that_are_wanted_are_given(desktop: Desktop, scan: Path) -> None:
    work = desktop.work(scan, labels=("Left Femur",))
    done = work.begin(silent)

    assert isinstance(done, Done)
    assert {bone.name for bone in done.bones} <= {"femur_left"}
    with pytest.raises(BadInput, match="the model knows no skull"):
        desktop.work(scan, id="a2", labels=("skull",)).begin(silent)


def test_a_stored_case_is_read_where_it_lies(desktop: Desktop, tmp_path: Path) -> None:
    scan = read_scan(write_noise(tmp_path / "long.nii.gz", depth=150), tmp_path)
    url = (tmp_path / "archive" / "case.zarr").as_uri()
    hu = scan.image.read((0, 0, 0), scan.image.grid.shape).result().astype(np.int16)
    write_zarr(url, hu, None, scan.image.grid, desktop.loaded.bundle.table)
    allowed = {"allow": ((tmp_path / "archive").as_uri(),)}
    desktop.settings = desktop.settings.model_copy(update={"sources": desktop.settings.sources.model_validate(allowed)})
    ledger = Ledger(desktop.settings.open_store())
    order = Order(id="a1", owner="anna", model="tiny", source=url, created=now(), digest="d")
    work = Work(order, ledger.store, desktop.loaded, desktop.settings, Intake(desktop.settings, ledger.store))

    split = work.begin(silent)
    assert isinstance(split, Split)
    assert not [key for key in ledger.store.list("work") if ".zarr" in key], "nothing is copied"
    for number in range(len(split.ranges)):
        work.label_range(number, silent)
    work.finish(silent)

    assert np.array_equal(
        labels_of(work), segment_scan(desktop.loaded.segmenter, desktop.loaded.bundle.recipe.prepare, scan)[0]
    )


class _Forbidden:
    """A lock that nobody may take: whoever does wants to compute."""

    def __enter__(self) -> None:
        raise AssertionError("the network was used")

    def __exit__(self, *_: object) -> None:
        pass
