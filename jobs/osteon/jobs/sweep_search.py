"""Where a sweep's configurations come from: listed beforehand, or proposed by Optuna from the means of those before."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from osteon.core.errors import BadInput
from osteon.recipes.space import Axis, Configuration, LogUniform, Uniform, choices, draw_configurations
from osteon.recipes.sweep import SweepSpec

if TYPE_CHECKING:
    from osteon.jobs.sweep_board import Proposals


def proposals_of(spec: SweepSpec, kept: Sequence[Configuration]) -> Proposals:
    """The configurations of a sweep; ``kept`` are those that it has begun already, in order.

    Raises:
        BadInput: ``no-optuna``.
    """
    if spec.search.method == "tpe":
        return TpeProposals(spec, kept)
    return ListedProposals(draw_configurations(spec.space, spec.search.samples, spec.search.seed))


class ListedProposals:
    """Configurations that are known from the beginning.

    Args:
        configurations: in order.
    """

    def __init__(self, configurations: Iterator[Configuration]) -> None:
        self._configurations = configurations

    def next(self) -> Configuration | None:
        """The next one."""
        return next(self._configurations, None)

    def tell(self, configuration: Configuration, mean: float | None) -> None:
        """Nothing depends on it."""


class TpeProposals:
    """Configurations proposed by a tree of Parzen estimators (Bergstra et al. 2011), as Optuna has it.

    Args:
        spec: of the sweep.
        kept: proposed before the sweep was interrupted; they come first.
    """

    def __init__(self, spec: SweepSpec, kept: Sequence[Configuration]) -> None:
        try:
            import optuna
        except ImportError as error:
            raise BadInput(
                "no-optuna", "Optuna is not installed", where="search.method", remedy="pip install 'osteon[tpe]'"
            ) from error
        optuna.logging.set_verbosity(logging.WARNING)
        self._optuna = optuna
        self._space, self._samples = spec.space, spec.search.samples
        sampler = optuna.samplers.TPESampler(seed=spec.search.seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._distributions = {axis: _distribution(optuna, values) for axis, values in spec.space.items()}
        self._kept = list(kept)
        self._asked: dict[str, Any] = {}
        self._count = 0

    def next(self) -> Configuration | None:
        """One that was kept, or the next that Optuna proposes."""
        if self._count >= self._samples:
            return None
        id_ = f"c{self._count:03d}"
        self._count += 1
        if self._kept:
            configuration = self._kept.pop(0)
            self._study.enqueue_trial(self._parameters(configuration))
            self._asked[configuration.id] = self._study.ask(self._distributions)
            return configuration
        trial = self._asked[id_] = self._study.ask(self._distributions)
        values = {name: _value(axis, trial.params[name]) for name, axis in self._space.items()}
        return Configuration.of(id_, self._space, values)

    def tell(self, configuration: Configuration, mean: float | None) -> None:
        """Learn from its mean."""
        state = self._optuna.trial.TrialState.COMPLETE if mean is not None else self._optuna.trial.TrialState.FAIL
        self._study.tell(self._asked[configuration.id], mean, state=state)

    def _parameters(self, configuration: Configuration) -> dict[str, Any]:
        return {axis: _parameter(self._space[axis], value) for axis, value in configuration.values.items()}


def _distribution(optuna: Any, axis: Axis) -> Any:
    if isinstance(axis, Uniform | LogUniform):
        return optuna.distributions.FloatDistribution(*axis.ends, log=isinstance(axis, LogUniform))
    # By their numbers: Optuna takes no lists or mappings.
    return optuna.distributions.CategoricalDistribution(range(len(choices(axis) or ())))


def _value(axis: Axis, parameter: Any) -> Any:
    known = choices(axis)
    return parameter if known is None else known[parameter]


def _parameter(axis: Axis, value: Any) -> Any:
    known = choices(axis)
    return value if known is None else known.index(value)
