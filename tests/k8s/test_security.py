"""Who reaches whom, and what a pod may do: by the rules as they are written, and by a scanner that others keep."""

import json
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import RAY_KINDS, Overlay, render

CHECKOV = "checkov==3.3.30"  # in an environment of its own: it pins old boto3, networkx and packaging
HERE = {"kubernetes.io/metadata.name": "osteon"}
HEAD = {"ray.io/is-ray-node": "yes", "ray.io/node-type": "head"}
WORKER = {"ray.io/is-ray-node": "yes", "ray.io/node-type": "worker", "ray.io/serve": "true"}
CLEANUP = {"ray.io/is-ray-node": "yes", "ray.io/node-type": "redis-cleanup"}
SUBMITTER = {"osteon/role": "submitter"}
REDIS = {"app.kubernetes.io/name": "redis"}
SEAWEEDFS = {"app.kubernetes.io/name": "seaweedfs"}
OPERATOR = {"app.kubernetes.io/name": "kuberay-operator"}
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
DASHBOARD, SERVE, GCS = 8265, 8000, 6379


@pytest.fixture(params=["local", "gpu"])
def place(request: pytest.FixtureRequest) -> Overlay:
    return render(request.param)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (HEAD, WORKER, 10002),
        (WORKER, HEAD, GCS),
        (WORKER, WORKER, 30123),
        (HEAD, REDIS, 6379),
        (CLEANUP, REDIS, 6379),
        (SUBMITTER, HEAD, DASHBOARD),
    ],
)
def test_what_works_together_meets(place: Overlay, source: dict[str, str], target: dict[str, str], port: int) -> None:
    assert _leaves(place, source, target, port)
    assert _enters(place, source, HERE, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (WORKER, REDIS, 6379),
        (SUBMITTER, REDIS, 6379),
        (SUBMITTER, WORKER, SERVE),
        (SUBMITTER, HEAD, GCS),
        (REDIS, HEAD, DASHBOARD),
        ({"app": "stranger"}, HEAD, DASHBOARD),
        ({"app": "stranger"}, WORKER, SERVE),
    ],
)
def test_what_has_no_business_does_not(
    place: Overlay, source: dict[str, str], target: dict[str, str], port: int
) -> None:
    assert not _enters(place, source, HERE, target, port)


@pytest.mark.parametrize(
    ("namespace", "source", "target", "port", "allowed"),
    [
        ({"kubernetes.io/metadata.name": "kuberay"}, OPERATOR, HEAD, DASHBOARD, True),
        ({"kubernetes.io/metadata.name": "other"}, OPERATOR, HEAD, DASHBOARD, False),
        ({"kubernetes.io/metadata.name": "monitoring"}, PROMETHEUS, WORKER, 8080, True),
        ({"kubernetes.io/metadata.name": "monitoring"}, PROMETHEUS, HEAD, DASHBOARD, False),
        ({"osteon/may-call": "true"}, {"app": "ingress"}, WORKER, SERVE, True),
        ({"osteon/may-call": "true"}, {"app": "ingress"}, HEAD, SERVE, False),
        ({"osteon/may-call": "true"}, {"app": "ingress"}, HEAD, DASHBOARD, False),
        ({"kubernetes.io/metadata.name": "other"}, {"app": "ingress"}, WORKER, SERVE, False),
    ],
)
def test_from_other_namespaces(
    place: Overlay,
    namespace: dict[str, str],
    source: dict[str, str],
    target: dict[str, str],
    port: int,
    allowed: bool,
) -> None:
    assert _enters(place, source, namespace, target, port) is allowed


def test_the_store_in_the_cluster_is_for_ray() -> None:
    local = render("local")
    assert _leaves(local, WORKER, SEAWEEDFS, 8333)
    assert _enters(local, WORKER, HERE, SEAWEEDFS, 8333)
    assert not _enters(local, WORKER, HERE, SEAWEEDFS, 9333)  # its master's, which has no key
    assert not _enters(local, SUBMITTER, HERE, SEAWEEDFS, 8333)


def test_nothing_leads_to_the_clouds_credentials(place: Overlay) -> None:
    for policy in place.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for block in (peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer):
                assert block["except"] == ["169.254.0.0/16"]


def test_nothing_is_published(overlay: Overlay) -> None:
    """What callers reach is for an ingress of the hospital's, with TLS; the dashboard is for nobody."""
    assert not overlay.of_kind("Ingress", "HTTPRoute")
    for service in overlay.of_kind("Service"):
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    for document in overlay.of_kind("RayCluster"):
        assert document["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_pods_are_restricted(overlay: Overlay) -> None:
    for namespace in overlay.of_kind("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in overlay.pods:
        assert pod.spec["securityContext"]["runAsNonRoot"] is True, pod.name
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        for container in pod.spec["containers"]:
            caged = container["securityContext"]
            assert caged["readOnlyRootFilesystem"] is True, pod.name
            assert caged["allowPrivilegeEscalation"] is False, pod.name
            assert caged["capabilities"] == {"drop": ["ALL"]}, pod.name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), pod.name
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), pod.name
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]} or "redis" in pod.name


def test_only_the_autoscaler_has_a_token_of_kubernetes(overlay: Overlay) -> None:
    for account in overlay.of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for pod in overlay.pods:
        assert pod.spec["automountServiceAccountToken"] is False, pod.name
        mounted = {mount["name"] for container in pod.spec["containers"] for mount in container["volumeMounts"]}
        assert "kubernetes" not in mounted, pod.name


def test_images_of_a_hospital_are_told_by_digest() -> None:
    for name in ("gpu", "gpu/jobs"):
        for pod in render(name).pods:
            assert all("@sha256:" in container["image"] for container in pod.spec["containers"]), pod.name


@pytest.fixture(scope="session")
def checkov(pytestconfig: pytest.Config) -> Path:
    """The scanner; installed once, and kept where pytest keeps things from run to run."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("checkov")
    if not (folder / "bin" / "checkov").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", CHECKOV], check=True, timeout=1200)
    return folder / "bin" / "checkov"


@pytest.mark.slow
def test_a_scanner_finds_nothing_that_is_not_explained(overlay: Overlay, checkov: Path, tmp_path: Path) -> None:
    beside = [] if overlay.name in ("local", "gpu") else render(overlay.name.partition("/")[0]).documents
    everything = [*overlay.documents, *beside]
    documents = [document for document in everything if document["kind"] not in {*RAY_KINDS, "StatefulSet"}]
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**pod.template["metadata"], "name": pod.name.lower().replace("/", "-"), "namespace": "osteon"},
            "spec": pod.spec,
        }
        for pod in overlay.pods
    ]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents + pods))
    command: list[str | Path] = [
        checkov,
        "--file",
        "all.yaml",
        "--framework",
        "kubernetes",
        "--quiet",
        "--compact",
        "--output",
        "json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    found = json.loads(done.stdout)
    failed = [
        f"{check['resource']}: {check['check_id']} {check['check_name']}" for check in found["results"]["failed_checks"]
    ]
    assert not failed, "\n".join(failed)
    assert found["summary"]["resource_count"] >= len(pods)


def _leaves(overlay: Overlay, source: dict[str, str], target: dict[str, str], port: int) -> bool:
    """Whether a policy of the source's lets it reach a pod of the same namespace."""
    return any(
        _rule_allows(rule, "to", target, HERE, port)
        for policy in _policies(overlay, source, "Egress")
        for rule in policy.get("egress", [])
    )


def _enters(
    overlay: Overlay, source: dict[str, str], namespace: dict[str, str], target: dict[str, str], port: int
) -> bool:
    """Whether a policy of the target's lets a pod of some namespace in."""
    return any(
        _rule_allows(rule, "from", source, namespace, port)
        for policy in _policies(overlay, target, "Ingress")
        for rule in policy.get("ingress", [])
    )


def _policies(overlay: Overlay, pod: dict[str, str], direction: str) -> list[dict[str, Any]]:
    specs = [policy["spec"] for policy in overlay.of_kind("NetworkPolicy")]
    bound = [spec for spec in specs if direction in spec["policyTypes"] and _selects(spec["podSelector"], pod)]
    assert bound, "a pod that no policy selects is open to all"
    return bound


def _rule_allows(rule: dict[str, Any], side: str, pod: dict[str, str], namespace: dict[str, str], port: int) -> bool:
    ports = [entry["port"] for entry in rule.get("ports", [{"port": port}])]
    peers = [peer for peer in rule.get(side, [{}]) if "ipBlock" not in peer]
    return port in ports and any(
        _selects(peer.get("podSelector", {}), pod)
        and (_selects(peer["namespaceSelector"], namespace) if "namespaceSelector" in peer else namespace == HERE)
        for peer in peers
    )


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    chosen = all(labels.get(key) == value for key, value in wanted.items())
    return chosen and all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
