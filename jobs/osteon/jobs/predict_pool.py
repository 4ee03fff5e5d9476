"""The workers that segment an archive: Ray actors with the model in memory, given one piece of work after another.

Not `ray.data`: its pool gives what a dead actor held to that actor again, so that one scan that kills its worker takes
others along or is tried for ever (docs/decisions/007-own-pool.md). Here a piece whose worker was lost is tried alone,
a few times, and then refused; the pool grows by doubling while pieces wait, which is what an autoscaling cluster sees.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from osteon.core.errors import OsteonError
from osteon.jobs.predict_case import PredictJob, Predictor, Taken
from osteon.jobs.predict_plan import Unit
from osteon.jobs.waiting import processors

MAX_LOSSES = 3  # workers that a piece of work may cost before it is refused
POLL_S = 1.0


@dataclass(frozen=True)
class Share:
    """What of a cluster the pool may hold.

    Attributes:
        least: workers to begin with.
        most: workers while there is work for them.
        cpus: processors of each.
        gpus: GPUs of each; parts of one are allowed.
    """

    least: int
    most: int
    cpus: int
    gpus: float

    @classmethod
    def of(cls, concurrency: tuple[int, int] | None, cpus: int | None, gpus: float | None) -> Share:
        """What is asked for, and where that leaves it open what suits the Ray that is there.

        With GPUs a worker has one, with its share of the processors; without, a worker has a machine to itself: scans
        of several in one memory would be what limits it. What is asked for is taken as it is: clusters grow.

        Args:
            concurrency: fewest and most workers; None for as many as fit now.
            cpus: of each worker; None for an even share of those that are there.
            gpus: of each worker; None for one where there are any.
        """
        nodes = processors() or [1]  # a cluster of a head alone is yet to grow
        gpus_there = ray.cluster_resources().get("GPU", 0.0)
        each = float(gpus_there > 0) if gpus is None else gpus
        fitting = max(1, int(gpus_there / each) if each else len(nodes))
        least, most = concurrency or (1, fitting)
        sharing = fitting if each else most
        return cls(least, most, cpus or max(1, min(sum(nodes) // sharing, *nodes)), each)


class _Worker:
    """The actor: a `Predictor` behind two threads, so that one scan is read or written while another is labelled."""

    def __init__(self, job: PredictJob, num_threads: int) -> None:
        logging.basicConfig(level=logging.INFO)
        self._predictor = Predictor.load(job, num_threads)

    def ready(self) -> None:
        """Answers once the model is in memory."""

    def take(self, unit: Unit) -> Taken:
        """Do a piece of work."""
        return self._predictor.take(unit)


_ACTOR: Any = ray.remote(_Worker)


@dataclass
class _Member:
    """A worker and what it holds.

    Attributes:
        actor: its handle.
        is_ready: whether its model is in memory.
        held: pieces it was given.
        is_alone: whether it was given a piece that others must be kept away from.
    """

    actor: Any
    is_ready: bool = False
    held: int = 0
    is_alone: bool = False


@dataclass
class Pool:
    """Workers, and the pieces of work that wait for them.

    Attributes:
        job: what each worker is told.
        share: how many there may be, and what each holds.
    """

    job: PredictJob
    share: Share
    _members: list[_Member] = field(default_factory=list)
    _asked: dict[Any, tuple[_Member, Unit | None]] = field(default_factory=dict)
    _waiting: deque[Unit] = field(default_factory=deque)
    _losses: dict[Unit, int] = field(default_factory=dict)
    _failed_starts: int = 0

    @property
    def num_ready(self) -> int:
        """Workers that have their model."""
        return sum(member.is_ready for member in self._members)

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, Taken] | None]:
        """What came of each piece, as it ends; None once a second when nothing does.

        Raises:
            OsteonError: no worker can be started: the model cannot be loaded there, or each dies at once.
        """
        self._waiting.extend(units)
        with self._workers():
            while self._waiting or any(unit for _, unit in self._asked.values()):
                self._grow()
                self._hand_out()
                ended, _ = ray.wait(list(self._asked), timeout=POLL_S)
                if not ended:
                    yield None
                for ref in ended:
                    if ref in self._asked:  # or it was lost with another piece of its worker's
                        yield from self._end(ref)
                self._let_go()

    @contextmanager
    def _workers(self) -> Iterator[None]:
        try:
            yield
        finally:
            for member in self._members:
                ray.kill(member.actor)
            self._members, self._asked = [], {}

    def _grow(self) -> None:
        """Start workers: at first the least, then as many again as are ready, while pieces wait for them."""
        wanted = min(self.share.most, len(self._waiting) + sum(bool(member.held) for member in self._members))
        allowed = max(self.share.least, 2 * self.num_ready)
        for _ in range(min(wanted, allowed) - len(self._members)):
            worker = _ACTOR.options(num_cpus=self.share.cpus, num_gpus=self.share.gpus, max_concurrency=2)
            member = _Member(worker.remote(self.job, self.share.cpus))
            self._members.append(member)
            self._asked[member.actor.ready.remote()] = (member, None)

    def _hand_out(self) -> None:
        """Give pieces to whoever holds least; a second one only while more wait than there may be workers."""
        while self._waiting:
            unit = self._waiting[0]
            is_suspect = unit in self._losses
            most = 1 if is_suspect or len(self._waiting) <= self.share.most else 2
            free = [member for member in self._members if member.is_ready and not member.is_alone]
            member = min(free, key=lambda each: each.held, default=None)
            if member is None or member.held >= most:
                return
            member.held, member.is_alone = member.held + 1, is_suspect
            self._asked[member.actor.take.remote(self._waiting.popleft())] = (member, unit)

    def _end(self, ref: Any) -> Iterator[tuple[Unit, Taken]]:
        member, unit = self._asked.pop(ref)
        try:
            taken = ray.get(ref)
        except RayTaskError as error:
            raise _refusal(error) from error
        except RayError as error:
            yield from self._lose(member, unit, error)
            return
        if unit is None:
            member.is_ready, self._failed_starts = True, 0
        else:
            member.held, member.is_alone = member.held - 1, False
            yield unit, taken

    def _lose(self, member: _Member, unit: Unit | None, error: RayError) -> Iterator[tuple[Unit, Taken]]:
        """A worker is gone: what it held is tried again, each piece alone; or refused, if it cost too many."""
        lost = [*([] if unit is None else [unit]), *self._remove(member)]  # it may only be out of reach
        if not member.is_ready:
            self._fail_start(error)
        for each in lost:
            self._losses[each] = self._losses.get(each, 0) + 1
            if self._losses[each] < MAX_LOSSES:
                self._waiting.appendleft(each)
            else:
                yield each, Taken(error=_worker_lost(error))

    def _fail_start(self, error: RayError) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_LOSSES:
            what = f"workers die before they have the model in memory ({type(error).__name__})"
            raise OsteonError("worker-lost", what, remedy="give each more memory, or look into their logs") from error

    def _let_go(self) -> None:
        """End workers that nothing waits for: on an autoscaling cluster their nodes may go."""
        if self._waiting:
            return
        for member in [member for member in self._members if not member.held]:
            self._remove(member)

    def _remove(self, member: _Member) -> list[Unit]:
        """End a worker; what it held and had not ended."""
        refs = [ref for ref, (owner, _) in self._asked.items() if owner is member]
        held = [unit for _, unit in map(self._asked.pop, refs) if unit is not None]
        self._members.remove(member)
        ray.kill(member.actor)
        return held


def _refusal(error: RayTaskError) -> OsteonError:
    """Why a worker could not be started; pieces of work give their refusals back."""
    cause: BaseException | None = error.cause
    if isinstance(cause, OsteonError):
        return cause
    first = str(cause or error).strip().partition("\n")[0]
    return OsteonError("worker-failed", f"a worker could not start: {first}", remedy="look into its log")


def _worker_lost(error: RayError) -> OsteonError:
    what = f"{MAX_LOSSES} worker processes died over it ({type(error).__name__})"
    return OsteonError("worker-lost", what, remedy="give workers more memory (fewer at once), or look into their logs")
