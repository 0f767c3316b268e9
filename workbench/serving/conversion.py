"""Turns a fitted pipeline into one ONNX graph with a named input per column; used by packaging, judged by `parity`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from workbench.data.contract import Contract
from workbench.errors import PackagingFailed
from workbench.serving.scorer.model import input_names

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["OPSET", "NeuralNetwork", "to_onnx"]

OPSET = 21


@runtime_checkable
class NeuralNetwork(Protocol):
    """An estimator whose prediction is a torch module's output: logits for classes, the value itself for regression."""

    def torch_module(self) -> Any:
        """The fitted network as a `torch.nn.Sequential` that returns raw outputs."""
        ...


def to_onnx(pipeline: Pipeline, contract: Contract) -> bytes:
    """The pipeline as ONNX: one input per column of the contract, outputs `label` and `probabilities`, or `value`.

    Inputs are named by position (`input_names`), because not every column name is one in ONNX. Number columns are float32
    `[n, 1]` with NaN for missing, category columns strings `[n, 1]`. Conversion alone proves
    nothing: some estimators convert without an error into a graph that predicts something else (`parity.prove_parity`).

    Raises:
        PackagingFailed: a step of the pipeline cannot be expressed in ONNX.
    """
    try:
        with warnings.catch_warnings(), _plain_tree_attributes():
            warnings.simplefilter("ignore")  # converters warn about their own internals; parity judges the result
            estimator = pipeline.steps[-1][1]
            model = _with_network(pipeline, contract) if isinstance(estimator, NeuralNetwork) else _direct(pipeline, contract)
            _rename(model.graph, model.graph.input, input_names(len(contract.features)))
            return _checked(model)
    except Exception as error:  # converters raise whatever they meet; each means: not expressible in ONNX
        raise PackagingFailed(
            f"the model cannot be converted to ONNX: {type(error).__name__}: {error}",
            hint="It can still be packaged as skops, which is slower to answer.",
        ) from error


def _direct(pipeline: Pipeline, contract: Contract) -> Any:
    """A pipeline whose every step skl2onnx knows."""
    if contract.task == "regression":
        model = _converted(pipeline, contract, options=None)
        _end_with_value(model.graph, model.graph.output[0].name)
    else:
        model = _converted(pipeline, contract, options={id(pipeline): {"zipmap": False}})
        _rename(model.graph, model.graph.output, ("label", "probabilities"))
    return model


def _with_network(pipeline: Pipeline, contract: Contract) -> Any:
    """A pipeline that ends in a neural network: skl2onnx's preprocessing, then torch's own export of the layers."""
    from onnx.compose import add_prefix, merge_models

    before = _converted(pipeline[:-1], contract, options=None)
    width = len(pipeline[:-1].get_feature_names_out())
    network = add_prefix(_exported(pipeline.steps[-1][1], width), "network_")
    matrix = before.graph.output[0]
    matrix.type.tensor_type.shape.dim[1].dim_value = width  # skl2onnx counts rare categories that share a column one by one
    before.ir_version = network.ir_version = max(before.ir_version, network.ir_version)
    model = merge_models(before, network, io_map=[(matrix.name, network.graph.input[0].name)])
    raw = network.graph.output[0].name
    if contract.task == "regression":
        _end_with_value(model.graph, raw)
    else:
        _end_with_classes(model.graph, raw, contract.classes, outputs=_outputs_of(network))
    return model


def _converted(pipeline: Pipeline, contract: Contract, *, options: dict[int, dict[str, bool]] | None) -> Any:
    """What skl2onnx makes of a pipeline, every name prefixed: a column may be called "label" or "value", as our outputs are."""
    from onnx.compose import add_prefix
    from skl2onnx import to_onnx as convert

    return add_prefix(convert(pipeline, initial_types=_inputs(contract), options=options, target_opset=OPSET), "pipeline_")


def _inputs(contract: Contract) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    return [
        (column.name, FloatTensorType([None, 1]) if column.kind == "number" else StringTensorType([None, 1]))
        for column in contract.features
    ]


def _exported(estimator: NeuralNetwork, width: int) -> Any:
    import torch

    module = estimator.torch_module().cpu().float().eval()
    rows = torch.export.Dim("rows")
    program = torch.onnx.export(
        module,
        (torch.zeros((2, width), dtype=torch.float32),),
        input_names=["matrix"],
        output_names=["raw"],
        dynamic_shapes=({0: rows},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
        external_data=False,
    )
    if program is None:
        raise RuntimeError("torch exported nothing")
    return program.model_proto


def _outputs_of(model: Any) -> int:
    """How many raw outputs a network has: its last dimension, one meaning a single logit."""
    return int(model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value)


def _end_with_value(graph: Any, raw: str) -> None:
    """Ends a graph with `value`, one float per row, whatever shape the regressor gave."""
    from onnx import TensorProto, helper, numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), "one_axis"))
    graph.node.append(helper.make_node("Reshape", [raw, "one_axis"], ["value"]))
    _replace_outputs(graph, [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["rows"])])


def _end_with_classes(graph: Any, raw: str, classes: tuple[str, ...], *, outputs: int) -> None:
    """Ends a network with `probabilities` (softmax, or sigmoid of a single logit) and the most probable class as `label`."""
    from onnx import TensorProto, helper, numpy_helper

    if outputs == 1:
        graph.initializer.append(numpy_helper.from_array(np.array(1, dtype=np.float32), "certain"))
        graph.node.extend(
            [
                helper.make_node("Sigmoid", [raw], ["second"]),
                helper.make_node("Sub", ["certain", "second"], ["first"]),
                helper.make_node("Concat", ["first", "second"], ["probabilities"], axis=1),
            ]
        )
    else:
        graph.node.append(helper.make_node("Softmax", [raw], ["probabilities"], axis=1))
    graph.initializer.append(numpy_helper.from_array(np.array(classes, dtype=object), "classes"))
    graph.node.extend(
        [
            helper.make_node("ArgMax", ["probabilities"], ["most_probable"], axis=1, keepdims=0),
            helper.make_node("Gather", ["classes", "most_probable"], ["label"]),
        ]
    )
    _replace_outputs(
        graph,
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["rows"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", len(classes)]),
        ],
    )


def _replace_outputs(graph: Any, outputs: list[Any]) -> None:
    del graph.output[:]
    graph.output.extend(outputs)


def _rename(graph: Any, values: Any, names: tuple[str, ...]) -> None:
    """Gives the inputs or outputs of a graph fixed names, wherever a node makes or reads them."""
    renamed = {value.name: name for value, name in zip(values, names, strict=True)}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in values:
        value.name = renamed[value.name]


def _checked(model: Any) -> bytes:
    """The bytes of a valid graph that holds all its own weights: a reference to another file would escape the digest."""
    import onnx

    onnx.checker.check_model(model)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ValueError("the graph keeps weights in another file")
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def _plain_tree_attributes() -> Iterator[None]:
    """While open, skl2onnx writes tree attributes as plain Python numbers.

    skl2onnx 1.20 collects them as numpy scalars and booleans, which onnx 1.23 refuses ("expected an int, got a boolean").
    """
    import skl2onnx.common._container as container

    original = container.make_node

    def make_node(*names: Any, **attributes: Any) -> Any:
        return original(*names, **{name: _plain(value) for name, value in attributes.items()})

    container.make_node = make_node
    try:
        yield
    finally:
        container.make_node = original


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(item) for item in value] if isinstance(value, list) else value
