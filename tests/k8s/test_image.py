"""The image's recipe is clean, and its steps work: run here in a folder of their own, without Docker."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from manifests import K8S, ROOT, render

DOCKERFILE = K8S / "Dockerfile"
INSTALL_S = 1800


def test_the_recipe_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_nobody_is_root_at_the_end() -> None:
    stages = re.split(r"^FROM .* AS ", DOCKERFILE.read_text(), flags=re.M)[1:]
    users = {stage.split()[0]: re.findall(r"^USER (.+)$", stage, re.M) for stage in stages}
    assert users["runtime"][-1] == users["cuda"][-1] == "10001:10001"
    assert users["cpu"] == []


def test_pods_run_as_the_images_user() -> None:
    users = {
        (pod.spec["securityContext"]["runAsUser"], pod.spec["securityContext"]["runAsGroup"])
        for overlay in ("gpu", "gpu/jobs")
        for pod in render(overlay).pods
    }
    assert users == {(10001, 10001)}


@pytest.mark.slow
def test_its_steps_leave_a_command_that_works(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "osteon"
    for name in _copied():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    [step, *others] = set(re.findall(r"^RUN sh (\S+) /opt/osteon$", DOCKERFILE.read_text(), re.M))
    assert not others
    _run("sh", source / step, target, cwd=source)

    bin_ = target / "bin"
    assert _run(bin_ / "osteon", "--version", cwd=tmp_path).startswith("osteon ")
    assert _locked("ray") in _run(bin_ / "ray", "--version", cwd=tmp_path)
    place = "import osteon.serve.app as app, pathlib; print(pathlib.Path(app.__file__).parent)"
    serve = Path(_run(bin_ / "python", "-c", place, cwd=tmp_path).strip())
    assert serve.is_relative_to(target), "it is installed, not linked"
    assert (serve / "static" / "index.html").is_file(), "the page is built in"
    listed = json.loads((target / "sbom.cdx.json").read_text())["components"]
    assert {"osteon", "ray", "torch"} <= {component["name"] for component in listed}
    assert {component["version"] for component in listed if component["name"] == "ray"} == {_locked("ray")}


def _copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), re.M)
    return [name for line in lines for name in line.split()[:-1]]


def _locked(package: str) -> str:
    [version] = re.findall(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    return str(version)


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
