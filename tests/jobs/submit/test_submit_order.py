from typing import Any

from osteon.jobs.submit_order import Order
from osteon.jobs.submit_spec import JobSpec


def order(files: dict[str, bytes] | None = None, words: tuple[str, ...] = ("train", "unet"), **spec: Any) -> Order:
    return Order(JobSpec(job="train", **spec), words, files or {})


def test_the_same_work_has_the_same_id_whatever_it_is_called() -> None:
    assert order().id == order(name="first", labels={"team": "spine"}).id
    assert order().id.startswith("train-")


def test_other_work_has_another_id() -> None:
    others = [
        order(words=("train", "unet", "--resume")),
        order(files={"recipe/a.yaml": b"name: a"}),
        order(files={"recipe/a.yaml": b"name: b"}),
        order(resources={"gpus": 1}),
        order(storage={"region": "eu-central-1"}),
    ]
    assert len({order().id, *(other.id for other in others)}) == 1 + len(others)


def test_the_command_line_survives_a_shell() -> None:
    assert order(words=("ingest", "/my scans", "s3://a/b")).entrypoint == "osteon ingest '/my scans' s3://a/b"
