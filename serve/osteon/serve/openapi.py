"""What the routes do not say of themselves in OpenAPI: bodies that stream in, files that come back, problems, the key.

Of these words none changes what a route does; tests/serve/test_openapi.py holds the routes to them.
"""

from __future__ import annotations

from typing import Any

from fastapi import Security
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.security import HTTPBearer

from osteon.serve.problems import MEDIA_TYPE
from osteon.serve.schemas import Segmentation, Wish

Description = dict[str, Any]  # what FastAPI's add_api_route takes beside the route

_BYTES = {"type": "string", "format": "binary"}
_MODEL = {"type": "string", "description": "One of GET /v1/models; the first one by default."}
_LABELS = {"type": "string", "description": "Bones that are wanted, by commas; all by default."}
_KEY = HTTPBearer(scheme_name="key", description="A key of osteon serve-key, or a token.", auto_error=False)
_PROBLEM = {
    "description": "What went wrong, and what to do about it.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def description_of(method: str, path: str) -> Description:
    """How a route is described: every one may answer a problem, those of ``/v1`` want the key."""
    described = _ROUTES.get((method, path), {})
    needs_key = {"dependencies": [Security(_KEY)]} if path.startswith("/v1/") else {}
    return {**described, **needs_key, "responses": {"4XX": _PROBLEM, "5XX": _PROBLEM, **described.get("responses", {})}}


def _wish() -> Description:
    """The fields, and that a scan is named in one of two ways."""
    schema = Wish.model_json_schema()
    ways = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("source", "upload")]
    return {**schema, "oneOf": ways}


def _query(name: str, schema: Description) -> Description:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": schema["description"]}


_FILES = {
    media_type: {"schema": _BYTES}
    for media_type in ("application/gzip", "application/octet-stream", "application/dicom", "application/zip")
}
_FORM = {
    "type": "object",
    "required": ["scan"],
    "properties": {
        "scan": {**_BYTES, "description": "One .nii, .nii.gz, .mha or .nrrd, or a .zip of DICOM files."},
        "model": _MODEL,
        "labels": _LABELS,
    },
}
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"const": "segmentation"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Segmentation"},
        },
    },
}
_FILENAME = {"type": "string", "description": "Of a scan that is the body itself; only its ending is kept."}
_ROUTES: dict[tuple[str, str], Description] = {
    ("POST", "/v1/segmentations"): {
        "responses": {200: {"model": Segmentation, "description": "It ended while the request waited."}},
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": _wish()},
                    "multipart/form-data": {"schema": _FORM},
                    "application/octet-stream": {"schema": _BYTES},
                },
            },
            "parameters": [_query("filename", _FILENAME), _query("model", _MODEL), _query("labels", _LABELS)],
        },
    },
    ("PUT", "/v1/uploads/{id}"): {
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _BYTES}}}
        }
    },
    ("GET", "/v1/segmentations/{id}/events"): {
        "response_class": StreamingResponse,
        "responses": {
            200: {
                "description": "A Segmentation each time that something changes; the last one tells the end.",
                "content": {"text/event-stream": {"itemSchema": _EVENT}},
            }
        },
    },
    ("GET", "/v1/segmentations/{id}/result"): {
        "response_class": FileResponse,
        "responses": {
            200: {
                "description": "The labels, surfaces or measures.",
                "content": _FILES | {"model/stl": {"schema": _BYTES}, "application/json": {"schema": {}}},
            }
        },
    },
    ("GET", "/v1/segmentations/{id}/scan"): {
        "response_class": FileResponse,
        "responses": {200: {"description": "The scan.", "content": {"application/gzip": {"schema": _BYTES}}}},
    },
}
