"""Kubernetes and KubeRay take every manifest as it is written, and what one names, another one has."""

import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from manifests import RAY_KINDS, ROOT, Overlay, cluster_spec, render

KUBERNETES = "1.35"
FOREIGN = {"PodMonitor", "PrometheusRule"}  # of the Prometheus operator; tests/k8s/test_monitoring.py looks at them
SECRETS = {"osteon-ray-token", "osteon-redis", "osteon-store", "osteon-keys"}  # the walkthrough makes them
Validators = dict[str, jsonschema.Draft202012Validator]
WALKTHROUGH = ROOT / "docs" / "how-to" / "kubernetes.md"


def test_kubernetes_takes_them(overlay: Overlay) -> None:
    core = [document for document in overlay.documents if document["kind"] not in {*RAY_KINDS, *FOREIGN}]
    assert core or overlay.name.endswith("jobs")
    for document in core:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_kubernetes_takes_the_pods(overlay: Overlay) -> None:
    assert overlay.pods
    for pod in overlay.pods:
        template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "any"}, "template": pod.template}
        kubernetes_validate.validate(template, KUBERNETES, strict=True)


def test_kuberay_takes_them(overlay: Overlay, kuberay: Validators) -> None:
    assert overlay.of_kind(*RAY_KINDS)
    for document in overlay.of_kind(*RAY_KINDS):
        kuberay[document["kind"]].validate(document)


def test_kuberay_would_not_take_a_slip(overlay: Overlay, kuberay: Validators) -> None:
    document = overlay.of_kind(*RAY_KINDS)[0]
    with pytest.raises(jsonschema.ValidationError, match="upgradeStrategyy"):
        kuberay[document["kind"]].validate(document | {"spec": {"upgradeStrategyy": {}}})


def test_ray_is_the_one_that_is_installed(overlay: Overlay) -> None:
    [locked] = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    for document in overlay.of_kind(*RAY_KINDS):
        assert cluster_spec(document)["rayVersion"] == locked


def test_every_cluster_wants_the_token(overlay: Overlay) -> None:
    for document in overlay.of_kind(*RAY_KINDS):
        assert cluster_spec(document)["authOptions"] == {"mode": "token", "secretName": "osteon-ray-token"}


def test_what_heads_remember_outlives_them(overlay: Overlay) -> None:
    """A job has a cluster for itself: if its head dies, all of it begins anew, so there is nothing to remember."""
    for document in overlay.of_kind("RayCluster", "RayService"):
        options = cluster_spec(document)["gcsFaultToleranceOptions"]
        host, _, port = options["redisAddress"].partition(":")
        [redis] = [service for service in overlay.of_kind("Service") if service["metadata"]["name"] == host]
        assert redis["spec"]["ports"][0]["port"] == int(port)
        assert "secretKeyRef" in options["redisPassword"]["valueFrom"]


def test_no_two_have_a_service_of_one_name(overlay: Overlay) -> None:
    """KubeRay names the head service after the resource, whatever its kind."""
    names = [document["metadata"]["name"] for document in overlay.of_kind(*RAY_KINDS, "Service")]
    assert len(set(names)) == len(names)


def test_only_numbers_count_for_pods_without_a_scale(overlay: Overlay) -> None:
    for budget in overlay.of_kind("PodDisruptionBudget"):
        assert isinstance(budget["spec"]["minAvailable"], int)
        assert "maxUnavailable" not in budget["spec"]


def test_no_secret_is_written_down(overlay: Overlay) -> None:
    assert not overlay.of_kind("Secret")
    named = {pair[1] for document in overlay.documents for pair in _named(document, ("secretRef", "secretKeyRef"))}
    mounted = {volume["secret"]["secretName"] for pod in overlay.pods for volume in _volumes(pod.spec, "secret")}
    assert named | mounted <= SECRETS


def test_the_walkthrough_makes_every_secret() -> None:
    text = WALKTHROUGH.read_text()
    assert set(re.findall(r"create secret generic (\S+)", text)) == SECRETS


def test_what_is_named_is_there(overlay: Overlay) -> None:
    """A folder of jobs is applied beside the folder that it lies in."""
    everything = [*overlay.documents, *render(overlay.name.partition("/")[0]).documents]
    there = {(document["kind"], document["metadata"]["name"]) for document in everything}
    for pod in overlay.pods:
        assert ("ServiceAccount", pod.spec["serviceAccountName"]) in there, pod.name
    for document in overlay.documents:
        for _, name in _named(document, ("configMapRef",)):
            assert ("ConfigMap", name) in there, name


def test_the_scans_are_mounted_where_they_are_read() -> None:
    text = WALKTHROUGH.read_text()
    for folder in ("local", "gpu"):
        jobs = {job["metadata"]["name"]: job for job in render(f"{folder}/jobs").of_kind("RayJob")}
        for name, job in jobs.items():
            spec = cluster_spec(job)
            templates = [spec["headGroupSpec"]["template"], spec["workerGroupSpecs"][0]["template"]]
            for template in templates:
                claims = [
                    volume["persistentVolumeClaim"] for volume in _volumes(template["spec"], "persistentVolumeClaim")
                ]
                assert [claim["claimName"] for claim in claims] == (["osteon-scans"] if name == "ingest" else [])
    assert "osteon-scans" in text


def test_jobs_in_the_queue_have_a_fixed_size() -> None:
    """Kueue admits no RayJob that Ray's autoscaler would resize."""
    for job in render("gpu/jobs").of_kind("RayJob"):
        assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "osteon"
        assert "enableInTreeAutoscaling" not in cluster_spec(job)
        assert job["spec"]["shutdownAfterJobFinishes"] is True


def _named(part: Any, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every key of these in a manifest, and the name below it."""
    if isinstance(part, list):
        return [pair for element in part for pair in _named(element, keys)]
    if not isinstance(part, dict):
        return []
    here = [(key, part[key]["name"]) for key in keys if key in part]
    return here + [pair for element in part.values() for pair in _named(element, keys)]


def _volumes(spec: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [volume for volume in spec.get("volumes", []) if kind in volume]
