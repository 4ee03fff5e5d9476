"""What `kubectl apply -k` of the overlays of k8s/ would send, without a cluster."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OVERLAYS = ("local", "local/jobs", "gpu", "gpu/jobs")
KUBECTL = Path(sys.executable).with_name("kubectl")  # of the project's own version
RAY_KINDS = {"RayCluster": ("spec",), "RayService": ("spec", "rayClusterConfig"), "RayJob": ("spec", "rayClusterSpec")}


@dataclass(frozen=True)
class Pod:
    """The template of a pod, and what will make pods of it.

    Attributes:
        name: kind, name and part of its maker.
        template: its metadata and spec.
    """

    name: str
    template: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.template["spec"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.template["metadata"].get("labels", {}))


@dataclass(frozen=True)
class Overlay:
    """Everything that `kubectl apply -k` of one folder would send.

    Attributes:
        name: of the folder.
        documents: the manifests.
    """

    name: str
    documents: list[dict[str, Any]]

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["kind"] in kinds]

    @property
    def pods(self) -> list[Pod]:
        return [pod for document in self.documents for pod in _pods(document)]


@cache
def render(name: str) -> Overlay:
    """What kubectl makes of an overlay; it asks no cluster."""
    command: list[str | Path] = [KUBECTL, "kustomize", K8S / "overlays" / name]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    return Overlay(name, list(yaml.load_all(made.stdout, yaml.CSafeLoader)))


def cluster_spec(document: dict[str, Any]) -> dict[str, Any]:
    """The Ray cluster that one of KubeRay's resources describes."""
    for key in RAY_KINDS[document["kind"]]:
        document = document[key]
    return document


def _pods(document: dict[str, Any]) -> Iterator[Pod]:
    name = f"{document['kind']}/{document['metadata']['name']}"
    if document["kind"] == "StatefulSet":
        yield Pod(name, document["spec"]["template"])
    if document["kind"] in RAY_KINDS:
        spec = cluster_spec(document)
        yield Pod(f"{name}/head", spec["headGroupSpec"]["template"])
        for group in spec["workerGroupSpecs"]:
            yield Pod(f"{name}/{group['groupName']}", group["template"])
    if document["kind"] == "RayJob":
        yield Pod(f"{name}/submitter", document["spec"]["submitterPodTemplate"])


def panels() -> dict[str, str]:
    """What each panel of each dashboard asks of Prometheus, by its title and the query's letter."""
    boards = [
        config
        for config in render("gpu").of_kind("ConfigMap")
        if config["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    ]
    found = [panel for board in boards for text in board["data"].values() for panel in json.loads(text)["panels"]]
    return {f"{panel['title']}/{target['refId']}": target["expr"] for panel in found for target in panel["targets"]}
