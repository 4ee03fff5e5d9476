"""The network has learnt from one tiny scan what is bone, so there is something right to find, and something wrong."""

import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from osteon.cli.evaluate import evaluate as evaluate_command
from osteon.core.errors import BadInput, Conflict, CorruptData, OsteonError
from osteon.core.geometry import Grid
from osteon.core.labels import BONES, LabelTable, table_for
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.summary import Report
from osteon.jobs.evaluate import describe_machine, evaluate
from osteon.jobs.run_folder import RunFolder, RunRecord
from osteon.models.build import build
from osteon.models.network import Network
from osteon.recipes.bundle import load_bundle, save_bundle, segmenter_of
from osteon.recipes.recipe import Recipe, parse_recipe
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case

GRID = Grid((16, 32, 32), (2.0, 1.0, 1.0))
TABLE = table_for(["hip_left", "hip_right", "sacrum"])
HU = {"hip_left": 700, "hip_right": 1200, "sacrum": 1700}
Scan = tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]


def scan(shift: int = 0) -> Scan:
    """Three boxes of different density in water."""
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for number, name in enumerate(HU):
        labels[4:12, 10 + shift : 22 + shift, 3 + 9 * number : 10 + 9 * number] = BONES.ids[name]
    image = np.zeros(GRID.shape, dtype=np.int16)
    for name, hu in HU.items():
        image[labels == BONES.ids[name]] = hu
    return image, labels


def recipe(**training: object) -> Recipe:
    return parse_recipe(
        json.dumps(
            {
                "name": "tiny",
                "model": {"channels": [8, 8], "num_auxiliary": 0},
                "sampling": {"patch_shape": [16, 16, 16]},
                "inference": {"window_shape": list(GRID.shape), "bone_floor_hu": None},
                "postprocess": {"min_island_mm3": 0},
                "training": training,
            }
        ),
        where="test",
    )


def untrained_network(table: LabelTable) -> Network:
    torch.manual_seed(0)
    return build(recipe().model, num_classes=len(table) + 1).eval()


def learnt_network() -> Network:
    """A network that has learnt from `scan` what is bone."""
    network = untrained_network(TABLE).train()
    image, labels = scan()
    x_BCZYX = recipe().intensity.apply(torch.from_numpy(image))[None, None]
    classes = torch.from_numpy(TABLE.class_of().astype(np.int64)[labels])[None]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(12):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(x_BCZYX), classes).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that knows nothing of its training, as one that was copied away from its run."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    save_bundle(open_store(str(folder)), "", recipe(), TABLE, learnt_network(), {})
    return str(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two labelled cases, one that misses a bone, and one without labels."""
    folder = tmp_path_factory.mktemp("data") / "boxes"
    dataset = Dataset.create(str(folder), "boxes", TABLE)
    write_case(dataset, "a", *scan(), GRID)
    image, labels = scan(shift=2)
    write_case(dataset, "b", image, np.where(labels == BONES.ids["sacrum"], 0, labels).astype(np.uint8), GRID)
    write_case(dataset, "bare", image, None, GRID)
    dataset.refresh()
    return str(folder)


@pytest.fixture
def run_model(model: str, tmp_path: Path) -> Callable[..., str]:
    """Makes a run's folder around the model: its record says which cases were for what."""

    def make(training: tuple[str, ...], validation: tuple[str, ...], dataset: str = "boxes") -> str:
        bundle = load_bundle(model)
        store = open_store(str(tmp_path / "run"))
        record = RunRecord(
            recipe=bundle.recipe, dataset=dataset, training=training, validation=validation, labels=TABLE.names
        )
        RunFolder(store).claim(record)
        save_bundle(store, "model", bundle.recipe, bundle.table, bundle.network, {})
        return f"{store.url}/model"

    return make


def test_the_report_holds_what_segmenting_and_comparing_gives(model: str, data: str, tmp_path: Path) -> None:
    report = evaluate(model, data, ["b", "a"], str(tmp_path / "out"), backend="torch", tolerance_mm=1.5)

    segmenter = segmenter_of(load_bundle(model), "torch")
    dataset = Dataset.open(data)
    for scores in report.details:
        case = dataset.case(scores.case_id)
        reference = case.labels().read((0, 0, 0), GRID.shape).result()
        found = segmenter.segment(case.image(), case.zones)
        assert scores == compare_labels(found, reference, GRID, TABLE, 1.5, case_id=scores.case_id)
    first, second = report.cases
    assert (first.case_id, second.case_id) == ("a", "b")
    assert first.any_bone_dsc is not None
    assert first.any_bone_dsc > 0.8
    assert second.false_positives == ("sacrum",)
    assert Report.model_validate_json((tmp_path / "out" / "report.json").read_text()) == report
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6


def test_the_facts_of_the_run_are_kept(model: str, data: str, tmp_path: Path) -> None:
    facts = evaluate(model, data, ["a"], str(tmp_path / "out"), backend="torch").facts

    assert facts is not None
    assert facts.model_digest == load_bundle(model).digest
    assert (facts.recipe, facts.dataset, facts.split) == ("tiny", "boxes", "named")
    assert facts.seen_in_training is None
    assert facts.seconds["a"] > 0
    assert facts.unscored_model_bones == facts.unscored_dataset_bones == ()
    assert facts.versions.keys() >= {"python", "osteon", "torch"}
    assert "cores" in facts.machine


def test_held_out_cases_are_taken_unless_told_otherwise(
    run_model: Callable[..., str], data: str, tmp_path: Path
) -> None:
    model = run_model(training=("a",), validation=("b",))

    held_out = evaluate(model, data, None, str(tmp_path / "1"), backend="torch")
    everything = evaluate(model, data, None, str(tmp_path / "2"), backend="torch", split="all")

    assert held_out.facts is not None
    assert [case.case_id for case in held_out.cases] == ["b"]
    assert (held_out.facts.split, held_out.facts.seen_in_training) == ("validation", ())
    assert everything.facts is not None
    assert [case.case_id for case in everything.cases] == ["a", "b"]
    assert everything.facts.seen_in_training == ("a",)


def test_test_cases_are_those_that_training_did_not_touch(
    run_model: Callable[..., str], data: str, tmp_path: Path
) -> None:
    model = run_model(training=("a",), validation=())

    report = evaluate(model, data, None, str(tmp_path / "out"), backend="torch", split="test")

    assert [case.case_id for case in report.cases] == ["b"]
    with pytest.raises(BadInput, match=r"held out in the model's training.*no-cases"):
        evaluate(model, data, None, str(tmp_path / "none"))


def test_a_run_on_another_dataset_says_nothing_about_this_one(
    run_model: Callable[..., str], data: str, tmp_path: Path
) -> None:
    model = run_model(training=("a",), validation=("b",), dataset="other")

    with pytest.raises(BadInput, match="no-split"):
        evaluate(model, data, None, str(tmp_path / "out"))


def test_a_moved_model_may_name_its_cases_in_its_recipe(data: str, tmp_path: Path) -> None:
    named = recipe(training_cases=["b"], validation_cases=["a"])
    save_bundle(open_store(str(tmp_path / "m")), "", named, TABLE, untrained_network(TABLE), {})

    report = evaluate(str(tmp_path / "m"), data, None, str(tmp_path / "out"), backend="torch")

    assert [case.case_id for case in report.cases] == ["a"]


def test_only_bones_that_both_sides_know_are_judged(data: str, tmp_path: Path) -> None:
    table = table_for(["hip_left", "femur_left"])
    save_bundle(open_store(str(tmp_path / "m")), "", recipe(), table, untrained_network(table), {})

    report = evaluate(str(tmp_path / "m"), data, ["a"], str(tmp_path / "out"), backend="torch")

    assert report.facts is not None
    assert {bone.name for bone in report.bones} <= {"hip_left"}
    assert report.facts.unscored_model_bones == ("femur_left",)
    assert report.facts.unscored_dataset_bones == ("sacrum", "hip_right")


def test_a_model_of_other_bones_is_refused(data: str, tmp_path: Path) -> None:
    table = table_for(["tibia_left", "tibia_right", "patella_left"])
    save_bundle(open_store(str(tmp_path / "m")), "", recipe(), table, untrained_network(table), {})

    with pytest.raises(BadInput, match=r"case a: the model knows .*tibia_left.*no-common-bones"):
        evaluate(str(tmp_path / "m"), data, ["a"], str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (["a", "zz", "yy"], None, r"no case yy, zz .*unknown-case.*it has a, b, bare"),
        ([], None, r"no case is named .*unknown-case"),
        (["a", "bare"], None, r"bare has no labels to compare with .*no-labels"),
        (["a"], "all", r"cases-and-split"),
        (None, None, r"does not say which cases were held out .*no-split.*--split all"),
    ],
)
def test_cases_that_cannot_be_evaluated_are_one_line(
    model: str, data: str, tmp_path: Path, names: list[str] | None, split: None, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        evaluate(model, data, names, str(tmp_path / "out"), split=split)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tolerance_mm", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_must_be_a_distance(model: str, data: str, tmp_path: Path, tolerance_mm: float) -> None:
    with pytest.raises(BadInput, match="bad-tolerance"):
        evaluate(model, data, ["a"], str(tmp_path / "out"), tolerance_mm=tolerance_mm)


def test_a_folder_with_a_report_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")

    with pytest.raises(Conflict, match="report-exists"):
        evaluate("no model", "no dataset", None, str(tmp_path))


def test_a_place_without_a_model_or_dataset_is_named(model: str, data: str, tmp_path: Path) -> None:
    with pytest.raises(OsteonError, match="no-dataset"):
        evaluate(model, str(tmp_path), ["a"], str(tmp_path / "out"))
    with pytest.raises(OsteonError, match="no-model"):
        evaluate(str(tmp_path), data, ["a"], str(tmp_path / "out"))


def test_the_machine_is_described_without_its_name() -> None:
    machine = describe_machine(torch.device("cpu"))

    assert "cores" in machine
    assert platform.node() not in machine.split(", ")


def test_the_command_prints_a_sentence_or_json(model: str, data: str, tmp_path: Path) -> None:
    app = Typer()
    app.command()(evaluate_command)
    arguments = [model, "--data", data, "--cases", "a, b", "--backend", "torch", "--out"]

    said = CliRunner().invoke(app, [*arguments, str(tmp_path / "1")], catch_exceptions=False)
    printed = CliRunner().invoke(app, [*arguments, str(tmp_path / "2"), "--json"], catch_exceptions=False)

    assert said.exit_code == printed.exit_code == 0
    assert "mean Dice" in said.stdout
    assert f"{tmp_path / '1'}/report.html" in said.stdout
    report = json.loads(printed.stdout)
    assert report["overall"]["dsc"]["count"] == 6
    assert "details" not in report


def test_a_damaged_case_is_named_and_the_others_are_judged(model: str, data: str, tmp_path: Path) -> None:
    copy = shutil.copytree(data, tmp_path / "boxes")
    shard = next(path for path in (copy / "cases" / "a.zarr" / "0" / "c").rglob("*") if path.is_file())
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 4] ^= 1
    shard.write_bytes(damaged)
    app = Typer()
    app.command()(evaluate_command)

    done = CliRunner().invoke(app, [model, "--data", str(copy), "--cases", "a,b", "--out", str(tmp_path / "out")])

    assert done.exit_code == 3, done.output
    assert "damaged-chunk" in done.stderr
    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_text())
    assert [case.case_id for case in report.cases] == ["b"]
    assert report.facts is not None
    assert list(report.facts.unreadable) == ["a"]
    assert "Case a could not be read" in (tmp_path / "out" / "report.html").read_text()

    with pytest.raises(CorruptData, match="damaged-chunk"):
        evaluate(model, str(copy), ["a"], str(tmp_path / "none"), backend="torch")
    assert not (tmp_path / "none").exists()
