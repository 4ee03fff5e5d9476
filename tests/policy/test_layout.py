"""The house keeps its shape: four roots, subpackages only, typed, no file that hides the standard library."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("platform", "storage", "jobs", "serve")
MAX_LINES = 500


def _roots() -> list[Path]:
    return [REPOSITORY / name for name in ROOTS if (REPOSITORY / name).is_dir()]


def _subpackages() -> list[Path]:
    return [
        folder
        for root in _roots()
        for folder in sorted((root / "osteon").iterdir())
        if folder.is_dir() and folder.name != "__pycache__"
    ]


def _modules() -> list[Path]:
    folders = [*(root / "osteon" for root in _roots()), REPOSITORY / "tests"]
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def test_the_roots_are_there() -> None:
    assert {root.name for root in _roots()} >= set(ROOTS)


@pytest.mark.parametrize("root", _roots(), ids=lambda root: root.name)
def test_a_root_is_a_namespace_portion(root: Path) -> None:
    assert not (root / "__init__.py").exists(), f"{root}/__init__.py would make '{root.name}' a package of its own"
    loose = [path.name for path in (root / "osteon").iterdir() if path.is_file()]
    assert loose == [], f"only subpackages belong in {root}/osteon; loose files: {loose}"


@pytest.mark.parametrize("package", _subpackages(), ids=lambda package: package.name)
def test_every_subpackage_is_whole(package: Path) -> None:
    assert (package / "__init__.py").is_file()
    assert (package / "py.typed").is_file(), f"{package} is missing py.typed: its types are invisible to users"


def test_no_subpackage_is_in_two_roots() -> None:
    names = [package.name for package in _subpackages()]
    assert sorted(set(names)) == sorted(names)


def test_no_subpackage_hides_the_standard_library() -> None:
    assert "platform" not in {package.name for package in _subpackages()}


def test_tests_are_not_packages() -> None:
    packages = [str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "tests").rglob("__init__.py")]
    assert packages == [], "tests run with --import-mode=importlib; an __init__.py there can hide 'platform'"


@pytest.mark.parametrize("module", _modules(), ids=lambda module: str(module.relative_to(REPOSITORY)))
def test_modules_stay_short(module: Path) -> None:
    lines = len(module.read_text().splitlines())
    assert lines <= MAX_LINES, f"{module} has {lines} lines: split it by idea"
