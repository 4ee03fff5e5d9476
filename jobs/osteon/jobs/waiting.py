"""Room for work on a cluster, which may still grow; on the Ray of one machine what is too much is refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import ray
from ray.util.placement_group import placement_group, remove_placement_group

POLL_S = 2.0

Bundle = Mapping[str, float]
"""What one worker holds, as Ray names it: ``{"CPU": 2, "GPU": 1}``."""


def may_grow() -> bool:
    """Whether the Ray that is there is a cluster that was joined: more nodes may come."""
    return bool(os.environ.get("RAY_ADDRESS"))


def processors() -> list[int]:
    """Of each node that has any: how many processors one worker may want; nodes that are lost do not count.

    Of a cluster's nodes one processor is left to others: a service's replica there, however little it holds, would keep
    a worker that wants the whole node waiting for ever.
    """
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [max(1, there - may_grow()) for there in nodes if there]


def bundle_of(cpus: float, gpus: float) -> Bundle:
    """The bundle of so many processors and GPUs."""
    return {name: number for name, number in (("CPU", cpus), ("GPU", gpus)) if number}


def await_room(bundles: Sequence[Bundle]) -> None:
    """Wait until a cluster can give all of these at once, and say so on standard error while it cannot.

    They are asked for as one placement group, which is what makes an autoscaling cluster add nodes; it is given back as
    soon as it is there. Where no nodes can come, nothing is waited for.
    """
    if not may_grow():
        return
    group, told = placement_group([dict(bundle) for bundle in bundles]), ""
    try:
        while not group.wait(POLL_S):
            line = _line(bundles)
            if line != told:
                print(line, file=sys.stderr, flush=True)
            told = line
    finally:
        remove_placement_group(group)


def _line(bundles: Sequence[Bundle]) -> str:
    names = sorted({name for bundle in bundles for name in bundle})
    wanted = {name: sum(bundle.get(name, 0.0) for bundle in bundles) for name in names}
    has = ray.cluster_resources()
    there = {name: has.get(name, 0.0) for name in names}
    why = "" if any(there[name] < wanted[name] for name in names) else ", in use or on nodes that are too small"
    return f"waiting for {_told(wanted)}; the cluster has {_told(there)}{why}; Ctrl-C stops"


def _told(amounts: Mapping[str, float]) -> str:
    return " and ".join(f"{number:g} {name}{'' if number == 1 else 's'}" for name, number in amounts.items())
