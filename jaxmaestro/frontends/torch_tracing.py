"""Any PyTorch model as a workload: run on tensors without values, so without weights and computing."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.assemble import assemble
from jaxmaestro.frontends.describe import Padding, Products, Style
from jaxmaestro.frontends.extras import needed, one_line
from jaxmaestro.frontends.workload import Workload

if TYPE_CHECKING:
    import torch

_WRAPPERS = ("DataParallel", "DistributedDataParallel")


def from_torch(
    module: Any,
    *examples: Any,
    keywords: Mapping[str, Any] | None = None,
    static: Mapping[str, Any] | None = None,
    training: bool = False,
    compute: bool = False,
    padding: Padding = "same-as-maestro",
    products: Products = "auto",
    name: str = "",
) -> Workload:
    """The convolutions and matrix products of a PyTorch model as layers, and a list of all else.

    The model is run once on fake tensors, which have shapes and no values: parameters may be on the
    meta device, and nothing is computed. Python's own control flow runs as it is. Recurrent layers
    are one product of all steps' inputs and one for each step of the state (counted); attention is
    two products a head.

    Args:
        module: a ``torch.nn.Module``, what ``torch.export.export`` gives, or a function of tensors.
        examples: one for each positional argument: a tensor (its shape and type are taken), a sequence
            of integers (a float32 tensor of that shape), a text such as ``"int64[1,128]"``, None, a
            number, or a nest of these.
        keywords: the same for keyword arguments.
        static: keyword arguments that are passed on as they are.
        training: the forward pass in training mode and the gradients of the parameters for a given
            gradient of the outputs. Otherwise the model is run in evaluation mode, whatever mode it is in.
        compute: run on real values, for models whose work depends on them (detectors). Inputs given
            as shapes are then zeros; weights on the meta device are refused.
        padding: Y and X of convolutions, see :func:`jaxmaestro.frontends.jax_tracing.from_jax`.
        products: how matrix products are described, see there.
        name: of the workload; the default is the module's class.

    Raises:
        DescriptionError: if PyTorch is missing, for bad shapes or options, or if the model cannot be
            run on the shapes (its own error is the cause).
    """
    needed("torch", "torch")
    style = Style(padding, products)
    model = _unwrapped(module)
    name = name or _name(module)
    with _fake(compute) as fake:
        return _run(name, model, examples, dict(keywords or {}), dict(static or {}), training, fake, style)


def _run(
    name: str,
    model: Any,
    examples: tuple[Any, ...],
    keywords: dict[str, Any],
    static: dict[str, Any],
    training: bool,
    fake: Any,
    style: Style,
) -> Workload:
    import torch

    from jaxmaestro.frontends.torch_recorder import Recorder
    from jaxmaestro.frontends.torch_shapes import shown, tensors

    def like(tensor: Any) -> Any:
        return torch.empty(tensor.shape, dtype=tensor.dtype) if fake else tensor

    def given(value: Any, what: str) -> Any:
        value = tensors(value, what, lambda shape, dtype: torch.zeros(shape, dtype=dtype))
        return torch.utils._pytree.tree_map_only(torch.Tensor, like, value)

    args = [given(value, f"input {index} of {name}") for index, value in enumerate(examples)]
    kwargs = {key: given(value, f"input {key} of {name}") for key, value in keywords.items()}
    shapes = ", ".join([*map(shown, args), *(f"{key}={shown(value)}" for key, value in kwargs.items())])
    is_module = isinstance(model, torch.nn.Module)
    own = dict(model.named_parameters()) if is_module else {}
    with _one_line(name, shapes):
        parameters = {path: like(value).detach() for path, value in own.items()}
        buffers = {path: like(value) for path, value in model.named_buffers()} if is_module else {}
        for tensor in parameters.values():
            tensor.requires_grad_(training and tensor.is_floating_point())
        recorder = Recorder({**buffers, **parameters})
        naming = recorder.naming(model) if is_module else contextlib.nullcontext()
        with _plain_kernels(), _mode(model, training), torch.set_grad_enabled(training), naming:
            with recorder:
                everything = (parameters | buffers, tuple(args), {**kwargs, **static})
                if is_module:
                    out = torch.func.functional_call(model, *everything, strict=False)
                else:
                    out = model(*args, **kwargs, **static)
            if training:
                ends, wanted, gradients = _gradients(name, out, list(parameters.values()))
                with recorder:
                    torch.autograd.grad(ends, wanted, gradients, allow_unused=True)
    return assemble(
        name,
        recorder.found,
        recorder.unmapped,
        parameters=sum(value.numel() for value in own.values()) if is_module else None,
        style=style,
        notes=tuple(recorder.notes),
    )


def _gradients(name: str, outputs: Any, parameters: list[torch.Tensor]) -> tuple[list[torch.Tensor], ...]:
    """Outputs that have gradients, parameters that get them, and gradients of the outputs."""
    import torch

    wanted = [tensor for tensor in parameters if tensor.requires_grad]
    ends = [leaf for leaf in _leaves(outputs) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    if not wanted or not ends:
        raise DescriptionError(
            f"training of {name}: no output depends on a parameter that has gradients",
            fix="give a module whose outputs are floating-point tensors",
        )
    return ends, wanted, [torch.empty_like(end) for end in ends]


def _leaves(outputs: Any) -> Iterator[Any]:
    """What a model gives, out of lists, dictionaries and records."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    elif dataclasses.is_dataclass(outputs):
        outputs = [getattr(outputs, field.name) for field in dataclasses.fields(outputs)]
    if isinstance(outputs, list | tuple):
        for each in outputs:
            yield from _leaves(each)
    else:
        yield outputs


@contextlib.contextmanager
def _fake(compute: bool) -> Iterator[Any]:
    """Tensors that are made inside have no values, unless ``compute``; gives whether that is so."""
    if compute:
        yield False
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    # Tensors that a module holds without naming them as buffers are real; they may be mixed in.
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield True


@contextlib.contextmanager
def _plain_kernels() -> Iterator[None]:
    """No fused kernels: attention and recurrent layers are run as the operators that they are made of."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(onednn)


@contextlib.contextmanager
def _mode(model: Any, training: bool) -> Iterator[None]:
    """The module in training or evaluation mode; afterwards each part is in its own again."""
    import torch

    parts = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    before = [part.training for part in parts]
    try:
        for part in parts:
            part.training = training
        yield
    finally:
        for part, mode in zip(parts, before, strict=True):
            part.training = mode


@contextlib.contextmanager
def _one_line(name: str, shapes: str) -> Iterator[None]:
    """Whatever the user's model raises becomes one line."""
    try:
        yield
    except DescriptionError:
        raise
    except Exception as error:
        message = f"{name} cannot be run on ({shapes}): {one_line(error)}"
        raise DescriptionError(message, fix=_fix(error)) from error


def _fix(error: Exception) -> str:
    if type(error).__module__ == "torch._subclasses.fake_tensor":
        return "its work depends on values: give compute=True, and weights that are not on the meta device"
    if isinstance(error, RuntimeError | NotImplementedError) and "meta" in str(error):
        return "with compute=True the weights must have values: make the model on the CPU"
    return "give one example or shape for each argument that the model takes, in its order"


def _unwrapped(module: Any) -> Any:
    """The module itself: without torch.compile and DataParallel, and that of an exported program."""
    if hasattr(module, "_orig_mod"):
        return _unwrapped(module._orig_mod)
    if type(module).__name__ in _WRAPPERS:
        return _unwrapped(module.module)
    if type(module).__name__ == "ExportedProgram":
        return module.module()
    if any(base.__name__ == "ScriptModule" for base in type(module).__mro__):
        raise DescriptionError(
            f"{type(module).__name__} is a TorchScript module, which cannot be looked into",
            fix="give the module that it was made of, or what torch.export.export gives",
        )
    if not callable(module):
        raise DescriptionError(
            f"{type(module).__name__} is no PyTorch model",
            fix="give a torch.nn.Module, an exported program or a function",
        )
    return module


def _name(module: Any) -> str:
    while isinstance(module, functools.partial):
        module = module.func
    if hasattr(module, "_orig_mod"):
        return _name(module._orig_mod)
    if type(module).__name__ in _WRAPPERS:
        return _name(module.module)
    return getattr(module, "__name__", None) or type(module).__name__
