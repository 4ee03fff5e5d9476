"""The command that segments, as tests of it here and over a server run it."""

from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner, Result

from osteon.cli.segment import segment
from osteon.core.errors import OsteonError


@pytest.fixture(scope="session")
def osteon_segment() -> Callable[..., Result]:
    """Runs `osteon segment`; a refusal is raised, as `osteon` itself would catch it."""
    app = typer.Typer()
    app.command()(segment)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        if isinstance(result.exception, OsteonError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run
