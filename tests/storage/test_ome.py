"""The metadata follows OME-Zarr 0.5: its published JSON schemas, and the numbers this project's conventions ask for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from osteon.core.geometry import Grid
from osteon.storage import ome
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

if TYPE_CHECKING:
    from tests.storage.conftest import Example

SCHEMAS = "schemas/ome-zarr-0.5"


@pytest.fixture
def attributes(tmp_path: Path, example: "Example") -> dict[str, Any]:
    """The attributes of every group of a case, by path, as they lie on the disk."""
    dataset = Dataset.create(str(tmp_path), "test", example.table)
    write_case(dataset, "a", example.image, example.labels, example.grid)
    root = tmp_path / "cases" / "a.zarr"
    groups = {"image": root, "labels": root / "labels", "bones": root / "labels" / "bones"}
    return {name: json.loads((path / "zarr.json").read_text())["attributes"] for name, path in groups.items()}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("group", "schema"),
    [("image", "image"), ("image", "strict_image"), ("bones", "image"), ("bones", "label"), ("bones", "strict_label")],
)
def test_validates_against_the_published_schema(
    attributes: dict[str, Any], real_data: Path, group: str, schema: str
) -> None:
    documents = [json.loads(path.read_text()) for path in (real_data.parent / SCHEMAS).glob("*.schema")]
    assert documents
    registry: Registry[Any] = Registry().with_resources(
        (document["$id"], DRAFT202012.create_resource(document)) for document in documents
    )
    wanted = next(document for document in documents if document["$id"].endswith(f"/{schema}.schema"))
    jsonschema.Draft202012Validator(wanted, registry=registry).validate(attributes[group])


def test_levels_are_placed_at_the_centres_of_their_voxels(attributes: dict[str, Any], example: "Example") -> None:
    for group in ("image", "bones"):
        (multiscale,) = attributes[group]["ome"]["multiscales"]
        assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
        assert {axis["unit"] for axis in multiscale["axes"]} == {"millimeter"}
        for level, dataset in enumerate(multiscale["datasets"]):
            grid = example.grid.pooled(level)
            scale, translation = dataset["coordinateTransformations"]
            assert scale == {"type": "scale", "scale": pytest.approx(grid.spacing_mm)}
            assert translation == {"type": "translation", "translation": pytest.approx(grid.origin_mm)}


def test_axes_run_to_superior_posterior_and_left() -> None:
    attribute: Any = ome.image_attribute("a", Grid((4, 4, 4)), 1)
    orientation = [axis["orientation"] for axis in attribute["multiscales"][0]["axes"]]
    values = ["inferior-to-superior", "anterior-to-posterior", "right-to-left"]
    assert orientation == [{"type": "anatomical", "value": value} for value in values]


def test_labels_are_named_coloured_and_point_to_their_image(attributes: dict[str, Any], example: "Example") -> None:
    assert attributes["labels"]["ome"]["labels"] == ["bones"]
    label = attributes["bones"]["ome"]["image-label"]
    names = {entry["label-value"]: entry["class"] for entry in label["properties"]}
    assert names == example.table.names
    colours = {entry["label-value"]: tuple(entry["rgba"]) for entry in label["colors"]}
    assert colours == {each.id: each.rgba for each in example.table.labels}
    assert label["source"] == {"image": "../../"}
