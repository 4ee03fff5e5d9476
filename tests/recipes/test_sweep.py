from pathlib import Path

import pytest
import yaml

from osteon.core.errors import BadInput
from osteon.recipes.recipe import packaged_recipes
from osteon.recipes.sweep import load_sweep, packaged_sweeps

PLAIN = {"name": "s", "recipe": "unet3d", "space": {"optim.learning_rate": [0.1, 0.2]}}


def written(path: Path, **changes: object) -> str:
    path = path / "s.yaml"
    path.write_text(yaml.safe_dump(PLAIN | changes))
    return str(path)


@pytest.mark.parametrize("name", packaged_sweeps())
def test_packaged_sweeps_name_packaged_recipes(name: str) -> None:
    spec = load_sweep(name)
    assert spec.name == name
    assert spec.recipe in packaged_recipes()


def test_the_papers_have_their_sweeps() -> None:
    losses = load_sweep("li2022-patch-loss")
    assert (losses.folds.count, [len(axis.named) for axis in losses.space.values()]) == (10, [3, 3])  # type: ignore[union-attr]  # all of them named
    assert len(load_sweep("li2022-systems").space["recipe"]) == 4  # type: ignore[arg-type]  # a list
    assert load_sweep("saillard2023").folds.count == 5
    assert load_sweep("deng2022-periosteal").folds.test_share == 0.15
    assert load_sweep("schnider2022").folds.count == 5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"space": {}}, "empty"),
        ({"space": {"optim.learning_rate": []}}, "empty at optim.learning_rate"),
        ({"space": {"optim.learning_rate": {"uniform": [0, 1]}}}, "is drawn, which a grid cannot do"),
        ({"search": {"method": "random"}}, "nothing in the space is drawn"),
        ({"settings": {"optim.learning_rate": 1}}, "optim.learning_rate is set twice"),
        ({"space": {"training.splits": ["x"]}}, "training.splits is set by the folds"),
        ({"folds": {"count": 1}}, "folds.count: input should be greater than or equal to 2"),
        ({"surprise": 1}, "surprise is not a key here"),
        ({"scheduler": {"kind": "best"}}, "scheduler.kind: "),
        ({"recipe": None}, "recipe: "),
    ],
)
def test_a_bad_sweep_is_refused_naming_the_place(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_sweep(written(tmp_path, **changes))
    assert refused.value.code == "bad-sweep"
    assert says in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_no_sweep_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="demo"):
        load_sweep(str(tmp_path / "nothing.yaml"))


@pytest.mark.parametrize("text", ["- a", "a: [", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(BadInput, match="bad-sweep"):
        load_sweep(str(tmp_path / "s.yaml"))


def test_files_are_found_beside_the_sweep(tmp_path: Path) -> None:
    for name in ("mine.yaml", "splits.json", "patients.json"):
        (tmp_path / name).touch()
    spec = load_sweep(
        written(
            tmp_path,
            recipe="mine.yaml",
            space={"recipe": ["mine.yaml", "unet3d"]},
            folds={"splits": "splits.json", "patients": "patients.json"},
        )
    )
    assert spec.recipe == str(tmp_path / "mine.yaml")
    assert spec.space["recipe"] == (str(tmp_path / "mine.yaml"), "unet3d")
    assert (spec.folds.splits, spec.folds.patients) == (
        str(tmp_path / "splits.json"),
        str(tmp_path / "patients.json"),
    )
