"""The overlays of k8s/, and what KubeRay takes."""

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from manifests import OVERLAYS, RAY_KINDS, ROOT, Overlay, render


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Overlay:
    """Each overlay in turn."""
    return render(request.param)


@pytest.fixture(scope="session")
def kuberay() -> dict[str, jsonschema.Draft202012Validator]:
    """KubeRay's definitions of its resources by kind, as its operator installs them, but that no unknown key passes."""
    folder = Path(os.environ.get("OSTEON_TEST_SCHEMAS", ROOT.parent / "shared" / "schemas")) / "kuberay-1.7.0"
    if not folder.is_dir():
        pytest.skip(f"no schemas at {folder}; set OSTEON_TEST_SCHEMAS")
    return {kind: _validator(folder / f"ray.io_{kind.lower()}s.yaml") for kind in RAY_KINDS}


def _validator(path: Path) -> jsonschema.Draft202012Validator:
    definition = yaml.load(path.read_text(), yaml.CSafeLoader)
    [version] = [version for version in definition["spec"]["versions"] if version["name"] == "v1"]
    return jsonschema.Draft202012Validator(_strict(version["schema"]["openAPIV3Schema"]))


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        strict.setdefault("additionalProperties", False)
    return strict
