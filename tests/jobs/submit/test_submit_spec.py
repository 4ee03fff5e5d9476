from pathlib import Path

import pytest

from osteon.core.errors import BadInput
from osteon.jobs.submit_spec import JobSpec, load_job


def load(tmp_path: Path, text: str) -> JobSpec:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return load_job(path)


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    spec = load(tmp_path, "job: train\narguments: {workers: 1:4, set: [a=1, b=2], resume: true}\nresources: {cpus: 2}")
    assert spec.arguments == {"workers": "1:4", "set": ("a=1", "b=2"), "resume": "true"}
    assert spec.resources.cpus == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("job: dance", "job"),
        ("arguments: {}", "job"),
        ("job: train\nargument: {}", "argument"),
        ("job: train\nresources: {gpus: -1}", "resources.gpus"),
        ("job: train\nstorage: {secret_access_key: x}", "storage.secret_access_key"),
        ("job: train\nname: Doe, Jane", "name"),
        ("job: train\narguments: {mlflow: 'https://me:hunter2@host'}", "arguments.mlflow"),
        ("job: train\nstorage: {endpoint: 'http://me:hunter2@host'}", "storage.endpoint"),
        ("- job", "the file"),
        ("job: [", "not YAML"),
    ],
)
def test_what_cannot_be_used_is_refused_by_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(BadInput) as refusal:
        load(tmp_path, text)
    assert refusal.value.code == "bad-job"
    assert named in refusal.value.what
    assert "hunter2" not in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.yaml.*\[no-job-file\]"):
        load_job(tmp_path / "none.yaml")
