"""The API keeps to what /openapi.json says of it, whatever it is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from local import serve_locally
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from service import LocalFront

from osteon.serve.api import new_api
from osteon.serve.client import Client
from osteon.serve.keys import add_key
from osteon.serve.schemas import Format
from osteon.serve.settings import ServeSettings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    unsupported_method,
]


@pytest.fixture(scope="module")
def service(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and key of a service that is in no hurry to refuse many requests."""
    folder = tmp_path_factory.mktemp("service")
    key = add_key(folder / "keys.yaml", "anna", frozenset({"segment", "read"}))
    limits = {"caller": {"requests_per_s": 1e6, "burst": 10**6}}
    told = {
        "models": {"tiny": model},
        "store": str(folder / "store"),
        "guard": {"auth": {"keys": folder / "keys.yaml"}, "limits": limits},
    }
    checked = ServeSettings.model_validate(told)
    with serve_locally(new_api(checked, LocalFront(checked))) as url:
        yield url, key


@pytest.fixture(scope="module")
def done(service: tuple[str, str], scan: Path) -> str:
    """The id of a segmentation with bones in it."""
    with Client(*service) as client:
        return client.follow(client.send(scan).id).id


def described() -> Any:
    """What any service says of itself, without one."""
    nobody = ServeSettings(models={"tiny": "/nowhere"}, store="/nowhere")
    return schemathesis.openapi.from_dict(new_api(nobody, LocalFront(nobody)).openapi())


schema = described()


@schema.parametrize()  # type: ignore[untyped-decorator]  # schemathesis leaves it untyped
@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_as_described(case: schemathesis.Case[Any], service: tuple[str, str]) -> None:
    if isinstance(case.query, dict) and "wait" in case.query:
        case.query["wait"] = 0  # nobody has a minute here
    case.call_and_validate(service[0], checks=CHECKS, headers={"Authorization": f"Bearer {service[1]}"})


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/segmentations", {}),
        ("/v1/segmentations/{id}", {}),
        ("/v1/segmentations/{id}/events", {}),
        ("/v1/segmentations/{id}/scan", {}),
        *(("/v1/segmentations/{id}/result", {"format": format}) for format in get_args(Format)),
    ],
)
def test_what_is_done_is_answered_as_described(
    service: tuple[str, str], done: str, path: str, query: dict[str, str]
) -> None:
    case = schema[path]["GET"].Case(path_parameters={"id": done} if "{id}" in path else {}, query=query)
    answer = case.call_and_validate(service[0], checks=CHECKS[:5], headers={"Authorization": f"Bearer {service[1]}"})
    assert answer.status_code == (400 if query.get("format") == "dicomseg" else 200)  # the scan was no DICOM


def test_every_route_is_described_with_its_bodies_and_its_key(service: tuple[str, str]) -> None:
    paths = httpx.get(f"{service[0]}/openapi.json").json()["paths"]
    post = paths["/v1/segmentations"]["post"]
    result = paths["/v1/segmentations/{id}/result"]["get"]

    assert set(post["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
        "application/octet-stream",
    }
    assert "application/dicom" in result["responses"]["200"]["content"]
    assert "text/event-stream" in paths["/v1/segmentations/{id}/events"]["get"]["responses"]["200"]["content"]
    for path, routes in paths.items():
        for route in routes.values():
            assert route.get("security") == ([{"key": []}] if path.startswith("/v1/") else None), path
            assert "application/problem+json" in route["responses"]["4XX"]["content"]
