import inspect
import re

import pytest
import yaml
from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema

from osteon.serve import app
from osteon.serve.settings import ServeSettings


def test_a_configuration_file_is_enough(settings: ServeSettings) -> None:
    """What `serve deploy` and RayService do with the file in the module's own words."""
    example = re.search(r"```yaml\n(.*?)```", inspect.getdoc(app) or "", re.DOTALL)
    assert example is not None
    [application] = ServeDeploySchema.model_validate(yaml.safe_load(example.group(1))).applications
    module, _, name = application.import_path.partition(":")
    assert (module, name) == (app.build.__module__, app.build.__name__)
    assert ServeSettings.model_validate(application.args).models == {"bones": "s3://models/bones"}

    fields = settings.model_dump(mode="json")
    assert type(app.build(fields)) is type(app.build(settings))
    with pytest.raises(ValidationError, match="colour"):
        app.build(fields | {"colour": "red"})
