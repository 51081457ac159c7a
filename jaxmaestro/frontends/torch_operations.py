"""How much work an ATen operator is that is no layer: operations, and elements written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from jaxmaestro.frontends.steps import steps
from jaxmaestro.frontends.workload import Kind, Unmapped

_MOVEMENT = frozenset(
    """_copy _reshape_alias _reshape_copy _to_copy _unsafe_index _unsafe_view arange as_strided_scatter
    bernoulli cat channel_shuffle clone col2im complex constant_pad_nd copy diagonal_copy embedding
    empty empty_like empty_permuted empty_strided eye fill flip full full_like gather im2col index
    index_copy index_put index_select lift lift_fresh lift_fresh_copy linspace logspace masked_fill
    masked_scatter masked_select narrow_copy new_empty new_empty_strided new_full new_ones new_zeros
    nonzero normal one_hot ones ones_like pixel_shuffle pixel_unshuffle put rand rand_like randint
    randint_like randn randn_like randperm reflection_pad1d reflection_pad2d reflection_pad3d repeat
    repeat_interleave replication_pad1d replication_pad2d replication_pad3d resize roll rot90
    scalar_tensor scatter select_backward select_scatter set_ slice_backward slice_scatter
    split_with_sizes_copy stack take tril tril_indices triu triu_indices unfold_copy uniform
    unsafe_split unsafe_split_with_sizes upsample_nearest1d upsample_nearest2d upsample_nearest3d
    view_copy where zero zeros zeros_like""".split()
)
_REDUCTIONS = frozenset(
    """_adaptive_avg_pool2d _adaptive_avg_pool3d _embedding_bag adaptive_avg_pool1d adaptive_max_pool2d
    adaptive_max_pool3d all amax amin aminmax any argmax argmin bincount count_nonzero cummax cummin
    cumprod cumsum embedding_bag equal histc index_add index_reduce kthvalue linalg_vector_norm
    logcumsumexp logsumexp max mean median min mode nanmean nansum nll_loss nll_loss2d
    nll_loss2d_forward nll_loss_forward norm prod scatter_add scatter_reduce std std_mean sum trace var
    var_mean""".split()
)
_POOLS = frozenset(
    """avg_pool1d avg_pool2d avg_pool3d max_pool2d max_pool2d_with_indices max_pool3d
    max_pool3d_with_indices""".split()
)
_NORMALIZING = frozenset(
    """_batch_norm_with_update _log_softmax _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training _safe_softmax _softmax _batch_norm_no_update native_batch_norm
    native_group_norm native_layer_norm _fused_rms_norm cudnn_batch_norm miopen_batch_norm""".split()
)
_SORTS = frozenset("sort topk argsort msort".split())
_FACTORED = {"cholesky": 3, "lu": 3, "qr": 1, "svd": 1, "eig": 1, "inv": 1, "solve": 1, "det": 3}
"""What a dense solver is told by, and by what its ``2 n`` operations an element are divided."""

_BIASED = {
    "convolution": 2,
    "_convolution": 2,
    "addmm": 0,
    "baddbmm": 0,
    "addbmm": 0,
    "addmv": 0,
    "linear": 2,
}
"""Where in the arguments of a layer its bias is."""


def unmapped(func: Any, args: Sequence[Any], outputs: Sequence[torch.Tensor]) -> Unmapped:
    """The entry of one call of an operator.

    Args:
        func: the ``OpOverload``.
        args: its positional arguments.
        outputs: the tensors that it gives.
    """
    name = func.overloadpacket.__name__
    shown = name if func.namespace == "aten" else f"{func.namespace}::{name}"
    written = 0 if func.is_view else sum(out.numel() for out in outputs)
    kind, operations = _work(func, name, args, outputs)
    return Unmapped(shown, kind, 1, operations, written)


def bias(name: str, args: Sequence[Any], outputs: Sequence[torch.Tensor]) -> Unmapped | None:
    """The additions of a bias, which PyTorch does in the operator of the layer."""
    index = _BIASED.get(name)
    if index is None or len(args) <= index or not isinstance(args[index], torch.Tensor):
        return None
    return Unmapped("bias", "elementwise", 1, outputs[0].numel(), outputs[0].numel())


def _work(func: Any, name: str, args: Sequence[Any], outputs: Sequence[torch.Tensor]) -> tuple[Kind, int]:
    plain = name.rstrip("_")
    inputs = [arg for arg in _flat(args) if isinstance(arg, torch.Tensor)]
    written = sum(out.numel() for out in outputs)
    first = outputs[0].numel() if outputs else 0
    read = inputs[0].numel() if inputs else 0
    if func.is_view or plain in _MOVEMENT or func.namespace in ("prim", "prims") or not outputs:
        return "movement", 0
    if func.namespace == "_c10d_functional":
        return "communication", 0
    if func.namespace != "aten":  # an extension's own, of which nobody can say what it does
        return "other", written
    if plain in _POOLS:
        window = args[1] if isinstance(args[1], list | tuple) else [args[1]] * (4 if "3d" in name else 2)
        return "reduction", first * math.prod(window[: 3 if "3d" in name else 2])
    if plain in _NORMALIZING:
        training = "batch_norm" in name and any(arg is True for arg in args)
        function = plain.replace("native_", "").replace("fused_", "")
        if "batch_norm" in name:
            function = "batch_norm_train" if training else "batch_norm"
        return "elementwise", first * steps(function)
    if plain in _REDUCTIONS and not (plain in ("max", "min") and len(inputs) > 1):
        return "reduction", max(read, written) * steps(plain)
    if plain in _SORTS or plain.startswith(("linalg_", "_linalg_", "_fft_", "cholesky", "triangular_")):
        return "other", _solver(plain, inputs, args)
    if plain == "_trilinear":  # a bilinear layer: products of three factors, added up
        return "other", 3 * inputs[0].shape[0] * inputs[1].numel()
    pointwise = torch.Tag.pointwise in func.tags
    if steps(plain) != 1:
        return "elementwise", first * steps(plain)
    if pointwise or all(out.shape == _broadcast(inputs) for out in outputs):
        return "elementwise", written
    return "other", written


def _flat(args: Any) -> list[Any]:
    return [leaf for arg in args for leaf in (_flat(arg) if isinstance(arg, list | tuple) else [arg])]


def _broadcast(inputs: Sequence[torch.Tensor]) -> torch.Size | None:
    try:
        return torch.broadcast_shapes(*(tensor.shape for tensor in inputs))
    except RuntimeError:
        return None


def _solver(name: str, inputs: Sequence[torch.Tensor], args: Sequence[Any]) -> int:
    """Leading order of the operations, as the JAX tracer takes them."""
    if not inputs or not inputs[0].dim():
        return 0
    shape, size = inputs[0].shape, inputs[0].numel()
    if name in _SORTS:
        axis = next((arg for arg in args[1:] if type(arg) is int), -1) if name != "topk" else -1
        return 2 * size * max(1, math.ceil(math.log2(max(2, shape[axis]))))
    if name.startswith("_fft_"):
        axes = args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else [-1]
        return math.ceil(5 * size * math.log2(max(2, math.prod(shape[axis] for axis in axes))))
    if name.startswith("triangular_") or "triangular" in name:
        return inputs[-1].numel() * shape[-1]
    divisor = next((divisor for word, divisor in _FACTORED.items() if word in name), 1)
    return 2 * size * shape[-1] // divisor
