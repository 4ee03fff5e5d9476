from pathlib import Path

import pytest

from osteon.core.errors import BadInput
from osteon.jobs.submit_files import recipe_files, sweep_files

SWEEP = "name: tiny\nrecipe: {recipe}\nfolds: {{count: 2}}\nspace: {{optim.learning_rate: [0.01, 0.1]}}\n"


def test_a_packaged_recipe_needs_no_file() -> None:
    assert recipe_files("demo") == {}


def test_a_recipe_of_ones_own_goes_along_after_a_look_at_it(recipe: str) -> None:
    assert recipe_files(recipe) == {"tiny.yaml": Path(recipe).read_bytes()}
    with pytest.raises(BadInput, match="nothing"):
        recipe_files(recipe, ["nothing=1"])


def test_what_lies_beside_a_sweep_goes_along(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.yaml").write_bytes(Path(recipe).read_bytes())
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(SWEEP.format(recipe="recipes/tiny.yaml"))
    assert set(sweep_files(str(sweep))) == {"sweep.yaml", "recipes/tiny.yaml"}


def test_what_lies_elsewhere_cannot(tmp_path: Path, recipe: str) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(SWEEP.format(recipe=recipe))
    with pytest.raises(BadInput, match="not-beside"):
        sweep_files(str(sweep))
