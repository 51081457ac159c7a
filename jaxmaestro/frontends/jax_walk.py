"""Through a jaxpr and all that it calls: every operator with its name, phase and number of runs.

Two facts are carried along the variables. The *origin* of a variable says whether it is made of
parameters alone, and of which; it tells filters from inputs, and names layers of models without name
stacks. The *sink* says which parameter's gradient a variable ends up in.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from jax.extend import core

from jaxmaestro.frontends.assemble import Found
from jaxmaestro.frontends.jax_equations import operator_of, transposes
from jaxmaestro.frontends.jax_operations import HIDDEN, unmapped
from jaxmaestro.frontends.workload import Phase, Unmapped

Branches = Literal["largest", "all"]
"""Which branches of a ``cond`` count: the one with the most MACs (one of them runs), or each once."""

Origin = str | None
"""Path of the parameter that a variable is made of; "" for constants; None for data."""

_RESHAPING = frozenset(
    "add_any broadcast_in_dim convert_element_type copy copy_p neg reshape rev squeeze transpose".split()
)
"""What the gradient of a filter passes on its way to the output (that of a bias also passes a reduce_sum)."""

_TRANSFORM = re.compile(
    r"\b(?:jvp|transpose|vmap|pmap|jit|remat|checkpoint|custom_jvp|custom_vjp|shard_map)\("
)


@dataclasses.dataclass(frozen=True)
class Loops:
    """What to take where a jaxpr leaves the amount of work open.

    ``while_trips`` is the number of trips of every ``while`` loop; None: unknown, counted once.
    """

    branches: Branches = "largest"
    while_trips: int | None = None


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """Where an equation stands: name stacks from the outside in, runs, whether a loop is unbounded."""

    stack: tuple[str, ...] = ()
    runs: int = 1
    unbounded: bool = False

    def inside(self, equation: Any, runs: int = 1, unbounded: bool = False) -> Surroundings:
        """That of the equations that ``equation`` calls, ``runs`` times each."""
        stack = (*self.stack, str(equation.source_info.name_stack))
        return Surroundings(stack, self.runs * runs, self.unbounded or unbounded)


@dataclasses.dataclass(frozen=True)
class Walked:
    """What is in a jaxpr; ``origins`` are those of its outputs."""

    found: tuple[Found, ...]
    unmapped: tuple[Unmapped, ...]
    notes: tuple[str, ...]
    origins: tuple[Origin, ...]

    @property
    def size(self) -> tuple[int, int]:
        """MACs and other operations, to compare branches by."""
        macs = sum(each.operator.macs * each.count for each in self.found)
        return macs, sum(each.operations for each in self.unmapped)


def walk(
    jaxpr: core.Jaxpr,
    origins: Sequence[Origin],
    sinks: Sequence[str],
    loops: Loops,
    at: Surroundings = Surroundings(),
) -> Walked:
    """Everything in a jaxpr, in order.

    Args:
        jaxpr: what to walk.
        origins: of its inputs, in order.
        sinks: for each of its outputs the path of the parameter whose gradient it is, or "".
        loops: what to take where the amount of work is open.
        at: where it is called from.
    """
    origin: dict[Any, Origin] = dict(zip(jaxpr.invars, origins, strict=True))
    origin |= dict.fromkeys(jaxpr.constvars, "")
    sink = _sinks(jaxpr, sinks)
    permutations = {
        e.invars[0]: e.params["permutation"] for e in jaxpr.eqns if e.primitive.name == "transpose"
    }
    found, others, notes = list[Found](), list[Unmapped](), list[str]()
    for equation in jaxpr.eqns:
        inputs = [_origin(variable, origin) for variable in equation.invars]
        outputs = [sink.get(variable, "") for variable in equation.outvars]
        called = _call(equation, inputs, outputs, loops, at)
        if called is not None:
            found += called.found
            others += called.unmapped
            notes += called.notes
            origin |= zip(equation.outvars, called.origins, strict=True)
            continue
        origin |= dict.fromkeys(equation.outvars, _joined(inputs))
        read = operator_of(equation, _filter_first(equation, inputs, permutations))
        if read is None:
            others.append(unmapped(equation, at.runs))
            if equation.primitive.name in HIDDEN:
                notes.append(f"{equation.primitive.name}: its work cannot be seen and is not counted")
            continue
        operator, remarks = read
        weight = next((each for each in inputs[:2] if each), "")
        name, phase = _name(equation, at, weight, outputs[0])
        found.append(Found(name, operator, at.runs, phase, at.unbounded, remarks))
    ends = tuple(_origin(variable, origin) for variable in jaxpr.outvars)
    return Walked(tuple(found), tuple(others), tuple(notes), ends)


def _origin(variable: Any, origin: dict[Any, Origin]) -> Origin:
    return "" if isinstance(variable, core.Literal) else origin[variable]


def _filter_first(equation: Any, inputs: Sequence[Origin], permutations: Mapping[Any, Sequence[int]]) -> bool:
    """Whether of a product's operands the first is the filter: made of parameters, or the last axis of
    what is computed comes from it.
    """
    if equation.primitive.name != "dot_general":
        return False
    first, second = (origin is not None for origin in inputs)
    if first != second:
        return first
    permutation = permutations.get(equation.outvars[0])
    return permutation is not None and transposes(equation, permutation)


def _joined(origins: Iterable[Origin]) -> Origin:
    """The origin of what is computed: data if anything is, else the first parameter."""
    known = list(origins)
    return None if None in known else next((each for each in known if each), "")


def _sinks(jaxpr: core.Jaxpr, sinks: Sequence[str]) -> dict[Any, str]:
    """Variables that reach an output through nothing but reshaping and accumulating, with its sink."""
    sink = {
        variable: name
        for variable, name in zip(jaxpr.outvars, sinks, strict=True)
        if name and not isinstance(variable, core.Literal)
    }
    for equation in reversed(jaxpr.eqns) if sink else ():
        name = sink.get(equation.outvars[0], "") if equation.outvars else ""
        if name and equation.primitive.name in _RESHAPING:
            for variable in equation.invars:
                if not isinstance(variable, core.Literal):
                    sink.setdefault(variable, name)
    return sink


def _call(
    equation: Any, inputs: Sequence[Origin], outputs: Sequence[str], loops: Loops, at: Surroundings
) -> Walked | None:
    """What an equation calls; None if it calls nothing."""
    params, data = equation.params, [None] * len(inputs)
    match equation.primitive.name:
        case "scan":
            # What is carried changes from trip to trip, so it is data even if it starts as a constant.
            fixed, carried = params["num_consts"], params["num_consts"] + params["num_carry"]
            known = [*inputs[:fixed], *data[fixed:carried], *inputs[carried:]]
            return _walk_inside(equation, params["jaxpr"], known, outputs, loops, at, runs=params["length"])
        case "while":
            return _while(equation, inputs, loops, at)
        case "cond":
            return _cond(equation, inputs, outputs, loops, at)
        case "shard_map":
            devices = math.prod(params["mesh"].shape[axis] for axis in params["newly_manual_axes"])
            inner = _walk_inside(equation, params["jaxpr"], inputs, outputs, loops, at, runs=devices)
            note = f"shard_map over {devices} devices: layers are one device's part, counted {devices} times"
            return dataclasses.replace(inner, notes=(*inner.notes, note))
        case "pallas_call":
            steps = math.prod(size for size in params["grid_mapping"].grid if isinstance(size, int))
            body = params["jaxpr"]
            inside = at.inside(equation, runs=steps)
            inner = walk(body, [None] * len(body.invars), [""] * len(body.outvars), loops, inside)
            note = f"pallas_call: layers are the tiles of one step, counted {steps} times"
            return dataclasses.replace(inner, notes=(*inner.notes, note), origins=(None,) * len(outputs))
        case "custom_linear_solve":
            # Of the four functions that it holds only the solver runs; the others are for gradients.
            body, skip = params["jaxprs"].solve, sum(params["const_lengths"][:2])
            count = params["const_lengths"].solve
            rest = sum(params["const_lengths"])
            known = [*inputs[skip : skip + count], *inputs[rest:]]
            return _walk_inside(equation, body, known, outputs, loops, at)
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        body = params.get(key)
        if isinstance(body, core.Jaxpr | core.ClosedJaxpr):
            ends = len(_plain(body).invars), len(_plain(body).outvars)
            if ends == (len(inputs), len(outputs)):
                return _walk_inside(equation, body, inputs, outputs, loops, at)
    return _unknown(equation, loops, at)


def _unknown(equation: Any, loops: Loops, at: Surroundings) -> Walked | None:
    """What an equation calls in a way that is not known here: each once; nothing is said of its inputs."""
    # Reductions, scatters and sorts hold what they do to two elements: that is counted with them.
    bodies = [
        _plain(body)
        for value in equation.params.values()
        for body in (value if isinstance(value, list | tuple) else [value])
        if isinstance(body, core.Jaxpr | core.ClosedJaxpr)
    ]
    bodies = [body for body in bodies if any(getattr(v.aval, "shape", ()) for v in body.invars)]
    if not bodies:
        return None
    walked = [
        _walk_inside(equation, body, [None] * len(body.invars), [""] * len(body.outvars), loops, at)
        for body in bodies
    ]
    note = f"{equation.primitive.name}: what it calls is counted once"
    return dataclasses.replace(_together(walked), notes=(note,), origins=(None,) * len(equation.outvars))


def _together(parts: Sequence[Walked]) -> Walked:
    """All of several jaxprs in order, with the outputs of the last."""
    return Walked(
        tuple(each for part in parts for each in part.found),
        tuple(each for part in parts for each in part.unmapped),
        tuple(each for part in parts for each in part.notes),
        parts[-1].origins,
    )


def _walk_inside(
    equation: Any,
    body: core.Jaxpr | core.ClosedJaxpr,
    inputs: Sequence[Origin],
    outputs: Sequence[str],
    loops: Loops,
    at: Surroundings,
    runs: int = 1,
    unbounded: bool = False,
) -> Walked:
    return walk(_plain(body), inputs, outputs, loops, at.inside(equation, runs, unbounded))


def _plain(body: core.Jaxpr | core.ClosedJaxpr) -> core.Jaxpr:
    return body.jaxpr if isinstance(body, core.ClosedJaxpr) else body


def _while(equation: Any, inputs: Sequence[Origin], loops: Loops, at: Surroundings) -> Walked:
    params = equation.params
    conditions, bodies = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    carried: list[Origin] = [None] * (len(inputs) - bodies)
    trips = loops.while_trips
    runs, unbounded = 1 if trips is None else trips, trips is None
    body = _walk_inside(
        equation,
        params["body_jaxpr"],
        [*inputs[conditions:bodies], *carried],
        [""] * len(carried),
        loops,
        at,
        runs,
        unbounded,
    )
    # The condition is asked once more than the body runs; that last time is left out of unknown loops.
    asked = [*inputs[:conditions], *carried]
    last = _walk_inside(
        equation, params["cond_jaxpr"], asked, [""], loops, at, runs + (trips is not None), unbounded
    )
    place = "/".join(_scope((*at.stack, str(equation.source_info.name_stack)))) or "the model"
    note = f"while loop in {place}: its trips are not known and one is counted; give while_trips="
    both = _together([last, body])
    return dataclasses.replace(both, notes=(*both.notes, note)) if unbounded else both


def _cond(
    equation: Any, inputs: Sequence[Origin], outputs: Sequence[str], loops: Loops, at: Surroundings
) -> Walked:
    branches = [
        _walk_inside(equation, branch, inputs[1:], outputs, loops, at)
        for branch in equation.params["branches"]
    ]
    origins = tuple(_joined(each) for each in zip(*(b.origins for b in branches), strict=True))
    if loops.branches == "all":
        chosen, note = _together(branches), f"cond: all {len(branches)} branches are counted"
    else:
        chosen = max(branches, key=lambda branch: branch.size)
        note = f"cond: of {len(branches)} branches the largest is counted, number {branches.index(chosen)}"
    return dataclasses.replace(chosen, notes=(*chosen.notes, note), origins=origins)


def _name(equation: Any, at: Surroundings, weight: str, sink: str) -> tuple[str, Phase]:
    """Name and phase of an operator, from the name stacks and from the parameters that it touches."""
    stack = (*at.stack, str(equation.source_info.name_stack))
    # jnp.einsum puts its subscripts on the stack, which say less than the name of the parameter.
    words = _scope(stack)
    modules = [word for word in words if "->" not in word]
    if weight or sink:
        words = modules or [_owner(weight or sink)]
    name = "/".join(words) or ("conv" if equation.primitive.name.startswith("conv") else "dot")
    if any("transpose(" in part for part in stack):
        if any("rematted_computation" in part for part in stack):
            return name, "recomputed"
        return name + (".grad_input" if weight else ".grad_weight" if sink else ".grad"), "backward"
    return name, "forward"


def _scope(stack: Iterable[str]) -> list[str]:
    """The words of name stacks, without the transformations that they went through.

    Gradients of loops repeat the end of the outer stack at the start of the inner one: once is enough.
    """
    words = list[str]()
    for part in stack:
        inner = [word for word in _without_transforms(part).split("/") if word]
        inner = [word for word in inner if word not in ("rematted_computation", "checkpoint")]
        lengths = range(min(len(words), len(inner)), 0, -1)
        shared = next((n for n in lengths if words[-n:] == inner[:n]), 0)
        words += inner[shared:]
    return words


def _without_transforms(part: str) -> str:
    while found := _TRANSFORM.search(part):
        start, depth = found.end(), 1
        for end in range(start, len(part)):
            depth += {"(": 1, ")": -1}.get(part[end], 0)
            if not depth:
                part = part[: found.start()] + part[start:end] + part[end + 1 :]
                break
        else:
            part = part[: found.start()] + part[start:]
    return part


def _owner(path: str) -> str:
    """The module that a parameter belongs to: its path without ``kernel``, ``weight`` or ``w``."""
    *modules, last = path.removesuffix("/value").split("/")
    return "/".join(modules) if modules and last in ("kernel", "weight", "w") else path
