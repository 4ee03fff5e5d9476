"""The OpenVINO engine: the network as a static graph on the CPU, in bfloat16 where the processor has it.

Two requests are under way at once, so that one window is accumulated while the next is computed. Outputs come as the
engine holds them: channels last, in the precision of the graph.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import openvino
import torch
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from osteon.core.geometry import Index3
from osteon.inference.agreement import measure_agreement, probe_patch
from osteon.inference.backends import Head, Output, Precision, Windows, computed, num_views_of

NUM_REQUESTS = 2


class OpenVinoBackend:
    """A network computed by OpenVINO on the CPU; see `Backend`.

    Graphs are converted when first asked for: a stream needs the features or the logits, seldom both.

    Args:
        network: in evaluation mode, on the CPU.
        window_shape: voxels of a window.
        batch_size: windows computed at once; smaller batches leave the rest of the graph's input as it was.
        precision: ``auto`` is bfloat16 where the processor has it.
        num_threads: of the graph; 0 for all cores.
    """

    def __init__(
        self,
        network: nn.Module,
        window_shape: Index3,
        batch_size: int,
        precision: Precision = "auto",
        *,
        num_threads: int = 0,
    ) -> None:
        self._core = openvino.Core()
        has_half = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        half = has_half if precision == "auto" else precision == "bfloat16"
        self.name = f"openvino {'bfloat16' if half else 'float32'}"
        self._type = openvino.Type.bf16 if half else openvino.Type.f32
        self.device = torch.device("cpu")
        self.depth = NUM_REQUESTS
        self.head = Head.of(network)
        self.num_views = num_views_of(network)
        self._network = network
        self._example = probe_patch(window_shape, self.num_views).repeat(batch_size, 1, 1, 1, 1)
        self._config = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": num_threads,
        }
        self._queues: dict[Output, _Queue] = {}
        self.agreement = measure_agreement(self.name, network, self._compute, window_shape)

    def submit(self, batch_BCZYX: Tensor, output: Output) -> _Request:
        """Start the next request; at most `depth` may be under way."""
        if output not in self._queues:
            self._queues[output] = self._compile(output)
        return self._queues[output].start(batch_BCZYX)

    def features(self, batch_BCZYX: Windows) -> Windows:
        """What the head reads, float32 (B, F, Z, Y, X)."""
        return self._compute(torch.from_numpy(batch_BCZYX), "features").numpy()

    def logits(self, batch_BCZYX: Windows) -> Windows:
        """Class scores, float32 (B, R * K, Z, Y, X)."""
        return self._compute(torch.from_numpy(batch_BCZYX), "logits").numpy()

    def _compute(self, batch_BCZYX: Tensor, output: Output) -> Tensor:
        return self.submit(batch_BCZYX, output).result().float().clone()

    def _compile(self, output: Output) -> _Queue:
        graph = _ChannelsLast(self._network, output)
        with warnings.catch_warnings():
            # OpenVINO 2026.4 reads torch modules through torch.jit.trace, which torch 2.13 calls deprecated.
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
            # Checks of shapes become constants of the trace; the shape is fixed, and the agreement is measured.
            warnings.filterwarnings("ignore", category=TracerWarning)
            # Not run twice more to check the trace, a third of the time: that, too, is what the agreement is for.
            traced = TorchScriptPythonDecoder(graph, example_input=self._example, trace_kwargs={"check_trace": False})
            model = openvino.convert_model(traced, example_input=self._example, input=[tuple(self._example.shape)])
        compiled = self._core.compile_model(_typed(model, self._type), "CPU", self._config)
        return _Queue([_Request(compiled.create_infer_request()) for _ in range(NUM_REQUESTS)])


@dataclass
class _Request:
    """One place of the queue, with input and output memory of its own."""

    infer: Any
    count: int = 0

    def start(self, batch_BCZYX: Tensor) -> None:
        self.infer.wait()
        self.count = len(batch_BCZYX)
        torch.from_numpy(self.infer.get_input_tensor().data)[: self.count] = batch_BCZYX
        self.infer.start_async()

    def result(self) -> Tensor:
        """The windows' output (B, C, Z, Y, X): OpenVINO's own memory, no copy."""
        self.infer.wait()
        output = self.infer.get_output_tensor()
        values = torch.from_numpy(output.data)
        if output.element_type == openvino.Type.bf16:  # numpy has no such type: it comes as another of 16 bits
            values = values.view(torch.bfloat16)
        return values[: self.count].movedim(-1, 1)


@dataclass
class _Queue:
    requests: list[_Request]
    next: int = field(default=0)

    def start(self, batch_BCZYX: Tensor) -> _Request:
        request = self.requests[self.next]
        self.next = (self.next + 1) % len(self.requests)
        request.start(batch_BCZYX)
        return request


def _typed(model: Any, element: Any) -> Any:
    """The graph with its output in the precision that it is computed in: converting it would gain nothing."""
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.output().tensor().set_element_type(element)
    return steps.build()


class _ChannelsLast(nn.Module):
    """The network, or all of it but its head, as a module that can be traced.

    OpenVINO computes with the channels of a voxel side by side. Giving them away so saves putting them in planes, which
    takes it as long as a third of the network.
    """

    def __init__(self, network: nn.Module, output: Output) -> None:
        super().__init__()
        self._network = network
        self._output = output

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        return computed(self._network, self._output)(x_BCZYX).movedim(1, -1)
