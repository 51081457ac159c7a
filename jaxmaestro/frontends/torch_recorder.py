"""Every ATen operator that a program runs, as layers with names and as a list of all else.

Recording happens below autograd, so that operators of the backward pass are seen as well. Composite
functions (einsum, matmul, LSTM, attention) have been taken apart by PyTorch when they get here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from jaxmaestro.frontends.assemble import Found
from jaxmaestro.frontends.operators import Operator, Product
from jaxmaestro.frontends.torch_operations import bias, unmapped
from jaxmaestro.frontends.torch_operators import Read, operators_of
from jaxmaestro.frontends.workload import Phase, Unmapped

_WEIGHT = re.compile(r"(?:^|[._])(?:weight|kernel)(?:_(?=\w)|$)")


class Recorder(TorchDispatchMode):  # type: ignore[misc]  # PyTorch may be missing where types are checked
    """Records while it is entered. Calls of one parameter on one shape are one layer with a count.

    Args:
        parameters: by name, the tensors that the model will be run with.
    """

    supports_higher_order_operators = True

    def __init__(self, parameters: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        # Tensors that are made of parameters alone, by identity. They are kept, so that no other
        # tensor gets the number of one that is gone.
        self._origin = {id(tensor): (name, tensor) for name, tensor in parameters.items()}
        self._modules = list[str]()
        self._forward = dict[int, tuple[str, str, Operator]]()
        self._found = dict[object, Found]()
        self.unmapped = list[Unmapped]()
        self.notes = dict[str, None]()

    @property
    def found(self) -> list[Found]:
        """The layers in the order of their first run."""
        return list(self._found.values())

    @contextlib.contextmanager
    def naming(self, module: torch.nn.Module) -> Iterator[None]:
        """While entered, layers are named after the submodule that runs them."""
        paths: dict[int, tuple[str, torch.nn.Module]] = {}
        for path, child in module.named_modules(remove_duplicate=False):
            paths.setdefault(id(child), (path, child))

        # What a hook gives would replace what the module takes or gives.
        def enter(path: str, *_: Any) -> None:
            self._modules.append(path)

        def leave(*_: Any) -> None:
            self._modules.pop()

        handles = []
        for path, child in paths.values():
            handles.append(child.register_forward_pre_hook(functools.partial(enter, path)))
            handles.append(child.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        if not isinstance(func, torch._ops.OpOverload):
            self.notes[f"{func}: its work cannot be seen and is not counted"] = None
            self.unmapped.append(Unmapped(str(func), "other", 1, 0, _elements(outputs)))
            return outputs
        tensors = [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]
        if not tensors and not func._schema.returns:
            return outputs
        if func.namespace == "prim" or not tensors:  # questions about a tensor
            return outputs
        args = _positional(func, args, kwargs)
        origins = [self._of(arg) for arg in args]
        name = func.overloadpacket.__name__ if func.namespace == "aten" else ""
        reads = operators_of(name, args, [origin is not None for origin in origins])
        other = unmapped(func, args, tensors) if reads is None else bias(name, args, tensors)
        if other and "::" in other.name and not func.is_view:
            self.notes[f"{other.name}: not PyTorch's own, so its products, if any, are not seen"] = None
        self.unmapped += [other] if other else []
        for read in reads or ():
            self._record(read, origins)
        self._derive(args, tensors)
        return outputs

    def _of(self, value: Any) -> str | None:
        """The parameter that a tensor is made of, "" for constants, None for data and what is no tensor."""
        known = self._origin.get(id(value))
        return known[0] if known else None

    def _derive(self, args: Sequence[Any], outputs: Sequence[torch.Tensor]) -> None:
        inputs = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, torch.Tensor)]
        origins = [self._of(tensor) for tensor in inputs]
        constant = None not in origins
        name = next((origin for origin in origins if origin), "")
        for tensor in outputs:
            if constant:
                self._origin.setdefault(id(tensor), (name, tensor))
            else:
                self._origin.pop(id(tensor), None)

    def _record(self, read: Read, origins: Sequence[str | None]) -> None:
        weight = "" if read.filter is None else origins[read.filter] or ""
        node = torch._C._current_autograd_node()
        if node is None or torch.is_grad_enabled():
            phase: Phase = "forward" if node is None else "recomputed"
            name = _owner(weight) if weight else self._module(read.operator)
            # PyTorch numbers what it will have to differentiate; the numbers come back in the backward pass.
            number = torch.autograd._get_sequence_nr() - 1
            self._forward.setdefault(number, (name, weight, read.operator))
        else:
            phase = "backward"
            name, of, operator = self._forward.get(node._sequence_nr(), (_owner(weight), "", None))
            role = read.role or ("input" if weight or _is_of_input(read.operator, operator) else "weight")
            weight = weight or of
            name = f"{name or 'product'}.grad_{role}" if weight else f"{name or 'product'}.grad"
        key: object = (name, read.operator, phase) if weight else len(self._found)
        found = self._found.get(key) or Found(name, read.operator, 0, phase)
        self._found[key] = dataclasses.replace(found, count=found.count + 1)

    def _module(self, operator: Operator) -> str:
        path = next((path for path in reversed(self._modules) if path), "")
        return path or type(operator).__name__.lower()


def _is_of_input(gradient: Operator, forward: Operator | None) -> bool:
    """Whether a product in a backward pass has the sizes of the gradient of the forward product's input."""
    if not isinstance(gradient, Product) or not isinstance(forward, Product):
        return False
    expected = forward.rows, forward.inner, forward.columns
    return (gradient.rows, gradient.columns, gradient.inner) == expected


def _owner(path: str) -> str:
    """What a parameter belongs to: ``conv`` of ``conv.weight``, ``at.in_proj`` of ``at.in_proj_weight``."""
    return _WEIGHT.sub(lambda match: "." if match.end() < len(path) else "", path, count=1).strip(".") or path


def _positional(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """All arguments in the order of the operator's schema, with its defaults."""
    rest = func._schema.arguments[len(args) :]
    return (*args, *(kwargs.get(a.name, a.default_value) for a in rest if not a.kwarg_only))


def _elements(outputs: Any) -> int:
    return sum(leaf.numel() for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor))
