"""What the manifests start can be started: each command parses, each application imports, and its nodes have room."""

import shlex
from importlib import import_module
from typing import Any

import pytest
import typer
import yaml
from manifests import Overlay, Pod, cluster_spec, render
from ray.serve.schema import ServeDeploySchema
from typer.core import TyperGroup
from typer.exceptions import TyperException

from osteon.cli.main import app
from osteon.recipes.recipe import load_recipe
from osteon.recipes.sweep import load_sweep
from osteon.serve.app import API, DESK, SEGMENTER, build
from osteon.serve.settings import ServeSettings

KINDS = {"ingest", "prepare", "train", "sweep", "predict", "evaluate"}
SHELL = set("$|&;<>()`\"'\\*?")  # KubeRay's submitter hands the words through a shell


@pytest.fixture(params=["local", "gpu"])
def jobs(request: pytest.FixtureRequest) -> Overlay:
    return render(f"{request.param}/jobs")


@pytest.fixture(params=["local", "gpu"])
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    [found] = render(request.param).of_kind("RayService")
    return found


def test_there_is_a_job_of_each_kind(jobs: Overlay) -> None:
    for job in jobs.documents:
        assert job["kind"] == "RayJob"
        name = job["metadata"]["name"]
        assert job["metadata"]["labels"]["app.kubernetes.io/component"] == name
        assert job["spec"]["entrypoint"].split()[:2] == ["osteon", name]
    assert {job["metadata"]["name"] for job in jobs.documents} == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_command_takes_its_words(jobs: Overlay, kind: str) -> None:
    [entrypoint] = [job["spec"]["entrypoint"] for job in jobs.documents if job["metadata"]["name"] == kind]
    assert SHELL.isdisjoint(entrypoint)
    given = _parse(typer.main.get_command(app), shlex.split(entrypoint))
    if recipe := given.get("recipe"):
        load_recipe(recipe, ())
    if sweep := given.get("file"):
        load_sweep(sweep)


def test_a_command_that_is_none_would_be_seen() -> None:
    with pytest.raises(TyperException, match="--dataset"):
        _parse(typer.main.get_command(app), ["osteon", "train", "unet3d", "--dataset", "s3://osteon/archive"])


def test_a_job_that_computes_by_itself_has_room_for_it(jobs: Overlay) -> None:
    [job] = [job for job in jobs.documents if job["metadata"]["name"] == "evaluate"]
    limits = [pod.spec["containers"][0]["resources"]["limits"] for pod in _workers(job)]
    wanted = (job["spec"]["entrypointNumCpus"], job["spec"].get("entrypointNumGpus", 0))
    assert any((int(limit["cpu"]), int(limit.get("nvidia.com/gpu", 0))) >= wanted for limit in limits)


def test_ray_takes_the_service(service: dict[str, Any]) -> None:
    deployed = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    assert deployed.http_options.host == "0.0.0.0"
    [application] = deployed.applications
    module, _, name = application.import_path.partition(":")
    assert getattr(import_module(module), name) is build
    assert {deployment.name for deployment in application.deployments} <= {API, DESK, SEGMENTER}
    settings = ServeSettings.model_validate(application.args)
    assert settings.store.startswith("s3://")
    assert settings.guard.auth.keys is not None, "everybody would be let in"


def test_keys_are_where_the_service_reads_them(service: dict[str, Any]) -> None:
    keys = _settings(service).guard.auth.keys
    assert keys is not None
    for pod in _workers(service):
        mounts = {mount["mountPath"]: mount["name"] for mount in pod.spec["containers"][0]["volumeMounts"]}
        [volume] = [volume for volume in pod.spec["volumes"] if volume["name"] == mounts[str(keys.parent)]]
        assert volume["secret"]["secretName"] == "osteon-keys"


def test_everything_that_is_kept_fits_on_the_workers(service: dict[str, Any]) -> None:
    """Nothing computes on the head, and a service must come up before its cluster grows."""
    settings, shares = _settings(service), _shares(service)
    assert cluster_spec(service)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert shares[API] > 0
    assert shares[DESK] > 0
    most = {group["groupName"]: group["maxReplicas"] for group in cluster_spec(service)["workerGroupSpecs"]}
    assert settings.segmenters.cpus is not None, "all of a node computes otherwise, whatever a pod may use of it"
    segmenter = (settings.segmenters.cpus, settings.segmenters.gpus)
    room = 0
    for pod in _workers(service):
        limits = pod.spec["containers"][0]["resources"]["limits"]
        free_cpus = int(limits["cpu"]) - (shares[API] + shares[DESK])
        places = free_cpus // segmenter[0]
        if segmenter[1]:
            places = min(places, int(limits.get("nvidia.com/gpu", 0)) // segmenter[1])
        room += int(places) * most[pod.name.rpartition("/")[2]]
    assert room >= settings.segmenters.most


def _parse(command: Any, words: list[str], parent: Any = None) -> dict[str, Any]:
    """The values that the command would be called with; it is not called."""
    context = command.make_context(words[0], words[1:], parent=parent)
    if isinstance(command, TyperGroup):
        name, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        return _parse(inner, [name or "", *rest], context)
    return dict(context.params)


def _settings(service: dict[str, Any]) -> ServeSettings:
    return ServeSettings.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]["args"])


def _shares(service: dict[str, Any]) -> dict[str, float]:
    deployments = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]["deployments"]
    return {deployment["name"]: deployment["ray_actor_options"]["num_cpus"] for deployment in deployments}


def _workers(document: dict[str, Any]) -> list[Pod]:
    made = Overlay("", [document])
    return [pod for pod in made.pods if not pod.name.endswith(("/head", "/submitter"))]
