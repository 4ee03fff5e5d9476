"""The file that describes a job for a cluster: which command, with which arguments, on what, from which store.

It holds no secrets and has no place for any: what it says can be read by everybody who may see the cluster's jobs. The
credentials of the object store are the cluster's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from osteon.core.errors import BadInput

Kind = Literal["ingest", "prepare", "train", "sweep", "predict", "evaluate", "synthesise"]


def _without_password(text: str) -> str:
    if "://" in text and "@" in urlsplit(text).netloc:
        raise ValueError("a name or password in a URL would be seen by all; the cluster's own credentials are used")
    return text


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
Text = Annotated[str, AfterValidator(_without_password)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(_Part):
    """What the command itself holds while it runs; what its workers hold is said in its arguments.

    Attributes:
        cpus: processors.
        gpus: GPUs, or a share of one.
        memory_gib: memory in GiB.
    """

    cpus: float = Field(default=0, ge=0)
    gpus: float = Field(default=0, ge=0)
    memory_gib: float = Field(default=0, ge=0)


class Storage(_Part):
    """Where ``s3://`` URLs lead.

    Attributes:
        endpoint: URL of the object store; None for the cluster's own setting.
        region: its region; None for the cluster's own setting.
    """

    endpoint: Text | None = None
    region: Word | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the command finds it."""
        named = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": self.region}
        return {name: value for name, value in named.items() if value is not None}


class JobSpec(_Part):
    """A job.

    Attributes:
        job: the command of `osteon`.
        arguments: by the names of its options and arguments; all as text, or lists of text.
        resources: for the command itself; without any it runs on the head, beside others.
        storage: where ``s3://`` leads.
        name: for people.
        labels: more for people and for tools.
    """

    job: Kind
    arguments: dict[str, Text | tuple[Text, ...]] = {}
    resources: Resources = Resources()
    storage: Storage = Storage()
    name: Word | None = None
    labels: dict[Word, Word] = {}


def load_job(path: Path) -> JobSpec:
    """The job of a YAML file.

    Raises:
        BadInput: ``no-job-file``, or ``bad-job`` with the key.
    """
    try:
        # Every scalar as it is written: YAML's own reading makes 64 of the workers 1:4.
        values = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        remedy = "name a YAML file; docs/how-to/submit.md shows some"
        raise BadInput("no-job-file", f"cannot be read: {error.strerror}", where=str(path), remedy=remedy) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput("bad-job", f"not YAML: {' '.join(str(error).split())}", where=str(path)) from error
    try:
        return JobSpec.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"]) or "the file"
        remedy = "see docs/how-to/submit.md"
        raise BadInput("bad-job", f"{key}: {fault['msg']}", where=str(path), remedy=remedy) from None
