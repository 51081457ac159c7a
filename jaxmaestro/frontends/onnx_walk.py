"""Through an ONNX graph and its subgraphs: every layer with its name and number of runs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx
from onnx import helper

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.assemble import Found
from jaxmaestro.frontends.extras import one_line
from jaxmaestro.frontends.jax_walk import Loops
from jaxmaestro.frontends.onnx_operations import beside, shapes_of, unmapped
from jaxmaestro.frontends.onnx_operators import LAYERS, operators_of
from jaxmaestro.frontends.onnx_values import Value, constant, infer, tensor
from jaxmaestro.frontends.workload import Unmapped

_DEFINED = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training")
_AS_CONV = {"FusedConv": "Conv", "FusedGemm": "Gemm"}
_WEIGHT = re.compile(r"^(?P<owner>.+?)[./](?:weight|kernel|W)(?:_quantized|_transposed)?(?::0)?$")
_OPERATOR = re.compile(rf"({'|'.join(LAYERS)})(_\d+)?(_quant)?|\w+Fusion")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What holds for the whole model."""

    opsets: Mapping[str, int]
    declared: Mapping[str, Value]
    loops: Loops


@dataclasses.dataclass
class Walked:
    """What has been found so far; ``values`` are those of the graph that is walked."""

    values: dict[str, Value]
    found: list[Found] = dataclasses.field(default_factory=list)
    unmapped: list[Unmapped] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """MACs and other operations, to compare branches by."""
        macs = sum(each.operator.macs * each.count for each in self.found)
        return macs, sum(each.operations for each in self.unmapped)

    def add(self, other: Walked) -> None:
        """All that another graph has, but for its values."""
        self.found += other.found
        self.unmapped += other.unmapped
        self.notes += other.notes


def walk(
    graph: Any, values: Mapping[str, Value], setting: Setting, runs: int = 1, unbounded: bool = False
) -> Walked:
    """Everything in a graph, in order.

    Args:
        graph: ``GraphProto``.
        values: the graph's inputs, and all values outside of it.
        setting: what holds for the whole model.
        runs: how often the graph runs.
        unbounded: whether it stands in a loop whose trips are not known.
    """
    at = Walked({**values, **{proto.name: constant(proto) for proto in graph.initializer}})
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type in ("If", "Loop", "Scan") and node.domain in _DEFINED:
            outputs = _controlled(node, attributes, at, setting, runs, unbounded)
        else:
            outputs = _plain(node, attributes, at, setting, runs, unbounded)
        at.values |= {name: value for name, value in zip(node.output, outputs, strict=False) if name}
    return at


def _plain(
    node: Any, attributes: dict[str, Any], at: Walked, setting: Setting, runs: int, unbounded: bool
) -> list[Value]:
    inputs = [at.values.get(name, Value()) if name else None for name in node.input]
    outputs = _outputs(node, attributes, inputs, at, setting)
    origins = [value.origin for value in inputs if value is not None]
    made = None if None in origins else next((origin for origin in origins if origin), "")
    if made is None and outputs and all(value.data is not None for value in outputs):
        made = ""  # computed from the shapes of data alone
    outputs = [dataclasses.replace(value, origin=made) for value in outputs]
    if node.op_type not in LAYERS:
        # What is computed of constants alone is done once, before the model runs.
        if made is None:
            at.unmapped.append(unmapped(node.op_type, inputs, outputs, attributes, runs))
            _note_unknown(node, outputs, at)
        return outputs
    shapes = [None if value is None else value.shape for value in inputs]
    constants = [value is not None and value.origin is not None for value in inputs]
    domain = "" if node.domain in _DEFINED else node.domain
    try:
        reads = operators_of(node.op_type, domain, shapes, attributes, constants)
    except DescriptionError as error:
        raise DescriptionError(error.message, layer=_shown(node), fix=error.fix) from None
    except (TypeError, IndexError, KeyError, ValueError, ZeroDivisionError) as error:
        at.unmapped.append(Unmapped(f"{node.op_type} of unknown shape", "other", runs, 0, 0))
        at.notes.append(f"{_shown(node)}: not counted, as its sizes are not known ({one_line(error, 80)})")
        return outputs
    scores = 0
    for read in reads:
        filters = inputs[read.filter] if read.filter is not None and read.filter < len(inputs) else None
        name = _name(node, (filters.origin or "") if filters else "", read.suffix)
        at.found.append(Found(name, read.operator, read.count * runs, "forward", unbounded))
        if read.suffix == "scores":
            scores = read.operator.macs // max(1, read.operator.inner)  # type: ignore[union-attr]
    at.unmapped += beside(node.op_type, inputs, outputs, scores, runs)
    if node.op_type == "DeformConv":
        at.notes.append(
            f"{_shown(node)}: described as a plain convolution, its inputs lie where the model says"
        )
    return outputs


def _outputs(
    node: Any, attributes: dict[str, Any], inputs: Sequence[Value | None], at: Walked, setting: Setting
) -> list[Value]:
    """Types of the outputs; what cannot be inferred is noted."""
    known = [setting.declared.get(name, Value()) for name in node.output]
    try:
        if node.op_type in _AS_CONV:
            node = _renamed(node, _AS_CONV[node.op_type])
        if node.domain in _DEFINED:
            known = infer(node, at.values, setting.opsets, setting.declared)
    except Exception as error:
        at.notes.append(f"{_shown(node)}: {one_line(error)}")
    if known and known[0].shape is None:
        try:
            ours = shapes_of(node.op_type, inputs, attributes)
        except (ValueError, IndexError, KeyError, ZeroDivisionError):
            ours = Value()
        known[0] = ours if ours.shape is not None else known[0]
    return known


def _renamed(node: Any, kind: str) -> Any:
    """The node with ONNX's own operator instead of one that does something more to the result."""
    schema = onnx.defs.get_schema(kind)
    inputs = list(node.input)[: 3 if kind in ("Conv", "Gemm") else None]
    plain = helper.make_node(kind, inputs, list(node.output), node.name)
    plain.attribute.extend(attribute for attribute in node.attribute if attribute.name in schema.attributes)
    return plain


def _note_unknown(node: Any, outputs: Iterable[Value], at: Walked) -> None:
    if any(value.proto is None for value in outputs) and node.domain not in _DEFINED:
        at.notes.append(f"{_shown(node)}: an operator of {node.domain} whose work and result are not known")


def _controlled(
    node: Any, attributes: dict[str, Any], at: Walked, setting: Setting, runs: int, unbounded: bool
) -> list[Value]:
    inputs = [at.values.get(name, Value()) if name else None for name in node.input]
    if node.op_type == "If":
        return _if(node, attributes, inputs[0], at, setting, runs, unbounded)
    body = attributes["body"]
    # What a trip gets, how often it runs, and how many of its outputs it hands on to the next one.
    if node.op_type == "Scan":
        given, trips, states = _scanned(attributes, inputs)
    else:
        given, trips = inputs[2:], _trips(body, inputs)
        trips, states = setting.loops.while_trips if trips is None else trips, len(given)
        given = [tensor((), onnx.TensorProto.INT64), tensor((), onnx.TensorProto.BOOL), *given]
    outer = at.values | {
        target.name: Value(value.proto) if value is not None else Value()
        for target, value in zip(body.input, given, strict=False)
    }
    inside = walk(body, outer, setting, runs * (1 if trips is None else trips), unbounded or trips is None)
    at.add(inside)
    if trips is None:
        at.notes.append(f"{_shown(node)}: its trips are not known and one is counted; give while_trips=")
    ends = [inside.values.get(value.name, Value()) for value in body.output]
    ends = ends[1:] if node.op_type == "Loop" else ends
    declared = [setting.declared.get(name, Value()) for name in node.output]
    stacked = [_stacked(value, trips) or known for value, known in zip(ends, declared, strict=False)]
    return [*(Value(value.proto) for value in ends[:states]), *stacked[states:]]


def _scanned(
    attributes: dict[str, Any], inputs: Sequence[Value | None]
) -> tuple[list[Value | None], int | None, int]:
    """What a trip of a Scan gets, the trips, and how many of its inputs are states."""
    states = len(inputs) - attributes["num_scan_inputs"]
    axes = attributes.get("scan_input_axes") or [0] * (len(inputs) - states)
    shapes = [value.shape if value is not None else None for value in inputs[states:]]
    trips = shapes[0][axes[0]] if shapes and shapes[0] else None
    slices = [_without_axis(value, axis) for value, axis in zip(inputs[states:], axes, strict=True)]
    return [*inputs[:states], *slices], trips, states


def _trips(body: Any, inputs: Sequence[Value | None]) -> int | None:
    """Trips of a Loop whose number is a constant and whose condition stays true, else None."""
    limit, condition = inputs[:2]
    made = [node for node in body.node if body.output[0].name in node.output]
    kept = all(
        node.op_type == "Constant" or (node.op_type == "Identity" and node.input[0] == body.input[1].name)
        for node in made
    )
    going_on = condition is None or (condition.data is not None and bool(condition.data))
    if limit is None or limit.data is None or not kept or not going_on:
        return None
    return int(limit.data.reshape(-1)[0])


def _stacked(value: Value, trips: int | None) -> Value | None:
    """What all trips give side by side, None if its shape is not known."""
    if trips is None or value.shape is None:
        return None
    return tensor((trips, *value.shape), value.proto.tensor_type.elem_type)


def _if(
    node: Any,
    attributes: dict[str, Any],
    condition: Value | None,
    at: Walked,
    setting: Setting,
    runs: int,
    unbounded: bool,
) -> list[Value]:
    names = ["then_branch", "else_branch"]
    if condition is not None and condition.data is not None:
        names = names[:1] if bool(condition.data) else names[1:]
    walked = [walk(attributes[name], at.values, setting, runs, unbounded) for name in names]
    chosen = max(walked, key=lambda each: each.size)
    everything = setting.loops.branches == "all"
    for each in walked if everything else [chosen]:
        at.add(each)
    if len(walked) > 1:
        counted = "both branches are" if everything else "the larger branch is"
        at.notes.append(f"{_shown(node)}: {counted} counted")
    graph = attributes[names[walked.index(chosen)]]
    return [Value(chosen.values.get(value.name, Value()).proto) for value in graph.output]


def _without_axis(value: Value | None, axis: int) -> Value:
    if value is None or value.shape is None:
        return Value()
    sizes = list(value.shape)
    del sizes[axis]
    return tensor(sizes, value.proto.tensor_type.elem_type)


def _shown(node: Any) -> str:
    return f"{node.op_type} {node.name or node.output[0]}"


def _name(node: Any, weight: str, suffix: str) -> str:
    """The module of a scoped node or of its filter, else the node's name; ``suffix`` tells parts apart."""
    match = _WEIGHT.match(weight)
    name = node.name or node.output[0]
    scopes = [each.value for each in node.metadata_props if each.key == "pkg.torch.onnx.name_scopes"]
    modules = [word for word in re.findall(r"'([^']*)'", scopes[0])[:-1] if word] if scopes else []
    if match:
        name = match["owner"]
    elif modules:  # PyTorch's exporter says which module a node is from
        name = modules[-1]
    elif "/" in name.strip("/"):  # the exporter's scope, the operator, and what optimisers have added
        words = name.strip("/").split("/")
        while len(words) > 1 and _OPERATOR.fullmatch(words[-1]):
            words.pop()
        name = ".".join(_innermost(words))
    return f"{name}.{suffix}" if suffix and not match else name


def _innermost(words: Sequence[str]) -> list[str]:
    """A scope whose words repeat those before them (``layer1/layer1.0/layer1.0.conv1``), each part once."""
    kept = list[str]()
    for word in words:
        path = ".".join(kept)
        if path and word.startswith(path + "."):
            kept = word.split(".")
        elif kept and word.split(".")[0] == kept[-1]:
            kept = [*kept[:-1], *word.split(".")]
        else:
            kept.append(word)
    return kept
