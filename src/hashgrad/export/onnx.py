"""A network as an ONNX graph: dense products, and the neurons that every layer keeps."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from hashgrad.atomic import write_atomically

from .layers import BEST, BY_CHANCE, Layer, class_names, read_layers, sizes_of

if TYPE_CHECKING:
    from hashgrad.network import Network

OPSET = 13
IR_VERSION = 8  # of 2021: what runtimes of the last years read
LARGEST = (1 << 31) - (1 << 20)  # bytes: a protocol buffer ends at 2 GiB
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


def export_onnx(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a trained network as an ONNX file, which answers as it does with `exact=True`.

    The graph evaluates every neuron and hashes none. Where a layer keeps its k best neurons, so
    does the graph: TopK finds them, and the others output 0. Near a tie it may keep another neuron
    than the network does, as both round differently; else answers agree within rounding.

    Its input is `x`, float32 (rows, n_inputs). Its outputs are `scores`, float32 (rows, n_outputs),
    as from `decision_function`, and, except with the squared loss, `probabilities`, as from
    `predict_proba`, and `label`, int64 (rows,), the best output. The file's metadata hold
    `hashgrad_version`, `loss` and, where `extra["classes"]` has them, the labels' names, `classes`,
    as JSON.

    Args:
        network: a trained one.
        path: the file.

    Raises:
        ImportError: the package onnx is not installed.
        ValueError: more weights than a file can hold, 2 GiB, or one that is NaN or infinite.
        RuntimeError: a hashed layer has no tables yet.
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile, onnx
        >>> from hashgrad import Dense, LSH, Network, export_onnx
        >>> X = np.random.default_rng(0).normal(size=(200, 5))
        >>> net = Network(5, [Dense(80, active=LSH(0.1)), Dense(2)]).fit(X, X[:, 0] > 0, epochs=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_onnx(net, pathlib.Path(folder) / "net.onnx")
        ...     model = onnx.load(pathlib.Path(folder) / "net.onnx")
        >>> [output.name for output in model.graph.output]
        ['scores', 'probabilities', 'label']

    Source: https://onnx.ai/onnx/operators, opset 13.
    """
    try:
        from onnx import TensorProto, helper
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "ONNX files need the package onnx: pip install 'hashgrad[onnx]'"
        ) from None
    layers = read_layers(network)
    size = 4 * network.n_parameters
    if size > LARGEST:
        raise ValueError(f"weights must take at most 2 GiB in an ONNX file, got {size:,} bytes")
    graph = _Graph()
    z = "x"
    for number, layer in enumerate(layers):
        z = _layer(graph, f"layer{number}", layer, z, last=number + 1 == len(layers),
                   absent=0.0 if network.loss == "squared" else -np.inf)  # fmt: skip
    outputs = _answers(graph, network, z)
    kinds = {"label": TensorProto.INT64}
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "hashgrad",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", network.n_inputs])],
            [
                helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
                for name, shape in outputs.items()
            ],
            graph.constants,
            doc_string=sizes_of(network),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hashgrad",
    )
    helper.set_model_props(model, _metadata(network))
    write_atomically(path, [model.SerializeToString()])


class _Graph:
    """Nodes and constants, each named after what it makes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, inputs: list[str], *made: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, list(made), made[0], **attributes))
        return made[0]


def _layer(graph: _Graph, at: str, layer: Layer, x: str, *, last: bool, absent: float) -> str:
    weight = graph.constant(f"{at}.weight", layer.weight)
    bias = graph.constant(f"{at}.bias", layer.bias)
    z = graph.node("Gemm", [x, weight, bias], f"{at}.z", transB=int(not layer.by_input))
    if layer.keep != BEST:
        return z if last else _activated(graph, at, layer, z)
    k = graph.constant(f"{at}.kept", np.array([layer.kept], np.int64))
    best = graph.node("TopK", [z, k], f"{at}.best", f"{at}.neurons", axis=1, sorted=0)
    if not last:
        best = _activated(graph, at, layer, best)
    from onnx import numpy_helper

    rest = numpy_helper.from_array(np.array([absent if last else 0.0], np.float32))
    shape = graph.node("Shape", [z], f"{at}.shape")
    empty = graph.node("ConstantOfShape", [shape], f"{at}.rest", value=rest)
    parts = [empty, f"{at}.neurons", best]
    return graph.node("ScatterElements", parts, f"{at}.sparse", axis=1)


def _activated(graph: _Graph, at: str, layer: Layer, z: str) -> str:
    value = z
    if layer.activation != "linear":
        value = graph.node(_ACTIVATIONS[layer.activation], [z], f"{at}.activation")
    if layer.keep == BY_CHANCE:
        alpha = graph.constant(f"{at}.alpha", np.float32(layer.alpha))
        beta = graph.constant(f"{at}.beta", np.float32(layer.beta))
        slope = graph.node("Mul", [z, alpha], f"{at}.slope")
        odds = graph.node("Add", [slope, beta], f"{at}.odds")
        chance = graph.node("Sigmoid", [odds], f"{at}.chance")
        value = graph.node("Mul", [value, chance], f"{at}.expected")
    if layer.gain != 1:
        gain = graph.constant(f"{at}.gain", np.float32(layer.gain))
        value = graph.node("Mul", [value, gain], f"{at}.scaled")
    return value


def _answers(graph: _Graph, network: Network, z: str) -> dict[str, list[Any]]:
    """The last nodes, and the shapes of what they make."""
    if network.retired:  # they take the column that is put beside the outputs'
        there = network.n_outputs - len(network.retired)
        column = np.full(network.n_outputs, there, np.int64)
        column[np.setdiff1d(np.arange(network.n_outputs), network.retired)] = np.arange(there)
        pads = graph.constant("pads", np.array([0, 0, 0, 1], np.int64))
        nothing = graph.constant("nothing", np.float32(-np.inf))
        z = graph.node("Pad", [z, pads, nothing], "padded")
        z = graph.node("Gather", [z, graph.constant("column", column)], "spread", axis=1)
    scores = graph.node("Identity", [z], "scores")
    shapes: dict[str, list[Any]] = {"scores": ["rows", network.n_outputs]}
    if network.loss == "squared":
        return shapes
    if network.loss == "softmax":
        graph.node("Softmax", [scores], "probabilities", axis=1)
    else:
        graph.node("Sigmoid", [scores], "probabilities")
    graph.node("ArgMax", [scores], "label", axis=1, keepdims=0)
    return {**shapes, "probabilities": shapes["scores"], "label": ["rows"]}


def _metadata(network: Network) -> dict[str, str]:
    from hashgrad import __version__

    metadata = {"hashgrad_version": __version__, "loss": network.loss}
    names = class_names(network)
    if names is not None:
        metadata["classes"] = json.dumps(names, ensure_ascii=False)
    if "input_weighting" in network.extra:
        metadata["input_weighting"] = json.dumps(network.extra["input_weighting"])
    return metadata
