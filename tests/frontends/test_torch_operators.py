"""Single PyTorch operators, against PyTorch's own counter of flops and its own shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxmaestro.description import DescriptionError

torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from jaxmaestro.frontends.torch_tracing import from_torch  # noqa: E402
from jaxmaestro.frontends.workload import Workload  # noqa: E402


def _products(workload: Workload) -> list[tuple[int, ...]]:
    """Rows, columns, inner size and runs of all products."""
    return [(*(e.layer[name] for name in "MNK"), e.count) for e in workload.entries]


def _flops(module: nn.Module, *inputs: Any, training: bool = False) -> int:
    """What PyTorch's counter says of real tensors."""
    module.train(training)
    with FlopCounterMode(display=False) as counter:
        out = module(*inputs)
        if training:
            parameters = [p for p in module.parameters() if p.requires_grad]
            torch.autograd.grad([out], parameters, [torch.ones_like(out)])
    return int(counter.get_total_flops())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.booleans(),
    st.integers(1, 2),
    st.sampled_from([1, 1, 2, 4]),
    st.integers(1, 2),
    st.integers(1, 2),
    st.lists(
        st.tuples(
            st.integers(4, 7), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)
        ),
        min_size=3,
        max_size=3,
    ),
    st.booleans(),
)
def test_convolutions(
    n: int,
    transposed: bool,
    batch: int,
    groups: int,
    read: int,
    written: int,
    axes: list[tuple[int, ...]],
    training: bool,
) -> None:
    sizes, taps, strides, pads, dilations = zip(*axes[:n], strict=True)
    assume(all(s + 2 * p > d * (t - 1) for s, t, _, p, d in axes[:n]))
    make = getattr(nn, f"Conv{'Transpose' if transposed else ''}{n}d")
    more: dict[str, Any] = {}
    if transposed:
        assume(all((s - 1) * st_ - 2 * p + d * (t - 1) > 0 for s, t, st_, p, d in axes[:n]))
        more["output_padding"] = [min(1, max(s, d) - 1) for s, d in zip(strides, dilations, strict=True)]
    module = make(
        read * groups,
        written * groups,
        taps,
        strides,
        pads,
        dilation=dilations,
        groups=groups,
        bias=False,
        **more,
    )
    x = torch.zeros(batch, read * groups, *sizes)
    workload = from_torch(module, x, padding="exact", training=training)
    assert workload.layer_macs == workload.macs
    forward = [e for e in workload.entries if e.phase == "forward"]
    if not transposed:
        assert 2 * sum(e.macs for e in forward) == _flops(module, x)
    elif not any(pads):
        # PyTorch counts every tap of every input; without padding none of them is cut off.
        assert 2 * sum(e.effective_macs for e in forward) == _flops(module, x)
    else:
        assert 2 * sum(e.effective_macs for e in forward) <= _flops(module, x)
    if training:
        assert [e.layer.name.rpartition(".")[2] for e in workload.entries if e.phase == "backward"] == [
            "grad_weight"
        ]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("groups", [1, 4])
def test_gradients_of_convolutions(transposed: bool, groups: int) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = nn.Sequential(nn.Conv2d(3, 8, 3), kind(8, 16, 3, stride=2, padding=1, groups=groups))
    x = torch.zeros(2, 3, 11, 11)
    workload = from_torch(module, x, training=True, padding="exact")
    by_name = {e.layer.name: e for e in workload.entries}
    forward = by_name["1"].macs
    assert by_name["1.grad_input"].macs == by_name["1.grad_weight"].macs == forward
    assert "0.grad_input" not in by_name
    assert by_name["1.grad_input"].effective_macs == by_name["1.grad_weight"].effective_macs
    assert by_name["1"].effective_macs == by_name["1.grad_input"].effective_macs
    assert workload.layer_macs == workload.macs


@pytest.mark.parametrize(
    ("module", "kind", "sizes"),
    [
        (nn.Conv2d(8, 16, 3, padding=1), "CONV", {"K": 16, "C": 8, "R": 3, "Y": 9}),
        (nn.Conv2d(8, 16, 3, groups=4), "NGCONV", {"G": 4, "K": 4, "C": 2}),
        (nn.Conv2d(8, 8, 3, groups=8), "DSCONV", {"K": 1, "C": 8}),
        (nn.ConvTranspose2d(8, 4, 2, 2), "TRCONV", {"K": 4, "C": 8, "R": 2, "Y": 9}),
        (nn.Conv2d(8, 4, 3, padding="same", dilation=2), "CONV", {"K": 4, "R": 3, "Y": 7}),
    ],
)
def test_kinds_of_layers(module: nn.Module, kind: str, sizes: dict[str, int]) -> None:
    (layer,) = from_torch(module, (1, 8, 9, 9)).layers
    assert layer.type.value == kind
    assert {name: layer[name] for name in sizes} == sizes


@pytest.mark.parametrize(
    ("fn", "shapes", "products"),
    [
        (torch.matmul, [(5, 7), (7, 3)], [(5, 3, 7, 1)]),
        (torch.bmm, [(4, 5, 7), (4, 7, 3)], [(5, 3, 7, 4)]),
        (torch.matmul, [(2, 4, 5, 7), (7, 3)], [(40, 3, 7, 1)]),
        (torch.matmul, [(2, 4, 5, 7), (2, 4, 7, 3)], [(5, 3, 7, 8)]),
        (torch.matmul, [(5, 7), (4, 7, 3)], [(5, 12, 7, 1)]),
        (functional.linear, [(2, 5, 7), (3, 7), (3,)], [(10, 3, 7, 1)]),
        (lambda a, b: torch.einsum("bij,bkj->bik", a, b), [(4, 5, 7), (4, 3, 7)], [(5, 3, 7, 4)]),
        (lambda a, b: a @ b, [(5, 7), (7,)], [(1, 5, 7, 1)]),
        (torch.dot, [(7,), (7,)], [(1, 1, 7, 1)]),
        (
            functional.scaled_dot_product_attention,
            [(2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 8)],
            [(5, 6, 8, 8), (5, 8, 6, 8)],
        ),
    ],
)
def test_products(fn: Callable[..., Any], shapes: Any, products: list[tuple[int, ...]]) -> None:
    workload = from_torch(fn, *shapes, products="gemm")
    assert _products(workload) == products
    assert workload.parameters is None


def test_a_weight_is_the_filter_even_on_the_left() -> None:
    class Left(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Parameter(torch.zeros(4, 16))

        def forward(self, x: Any) -> Any:
            return (self.mix * 2.0).tanh() @ x

    assert _products(from_torch(Left(), (16, 100))) == [(100, 4, 16, 1)]
    assert from_torch(Left(), (16, 100)).layers[0].name == "mix"


@pytest.mark.parametrize("fastpath", [True, False])
def test_attention_is_taken_apart(fastpath: bool) -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=not fastpath).eval()
    workload = from_torch(layer, (2, 5, 32))
    assert _products(workload) == [
        (10, 96, 32, 1),
        (5, 5, 8, 8),
        (5, 8, 5, 8),
        (10, 32, 32, 1),
        (10, 64, 32, 1),
        (10, 32, 64, 1),
    ]
    names = [each.name for each in workload.layers]
    assert names == [
        "self_attn.in_proj",
        "self_attn",
        "self_attn_2",
        "self_attn.out_proj",
        "linear1",
        "linear2",
    ]


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(kind: Any, gates: int) -> None:
    module = kind(8, 16, num_layers=2, bidirectional=True)
    workload = from_torch(module, (7, 3, 8))
    once = [(21, gates * 16, width, 1) for width in (8, 8, 32, 32)]
    state = (3, gates * 16, 16, 7)
    assert _products(workload) == [each for first in once for each in (first, state)]
    assert workload.layers[1].name == "hh_l0" and workload.layers[-1].name == "hh_l1_reverse"
    assert workload.parameters == sum(p.numel() for p in module.parameters())


def test_calls_of_one_weight_on_one_shape_are_one_layer() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(8, 16)

        def forward(self, xs: Any) -> Any:
            state = None
            for x in xs:
                state = self.cell(x, state)
            return state[0] @ state[1].T

    workload = from_torch(Loop(), (9, 3, 8))
    counts = {e.layer.name: e.count for e in workload.entries}
    assert counts == {"cell.ih": 9, "cell.hh": 9, "product": 1}


def test_what_is_recomputed_is_told_from_what_is_not() -> None:
    from torch.utils.checkpoint import checkpoint

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            return checkpoint(lambda x: self.b(torch.relu(self.a(x))), x, use_reentrant=False)

    workload = from_torch(Net(), (2, 8), training=True)
    assert [(e.layer.name, e.phase) for e in workload.entries] == [
        ("a", "forward"),
        ("b", "forward"),
        ("a_2", "recomputed"),
        ("b.grad_input", "backward"),
        ("b.grad_weight", "backward"),
        ("a.grad_weight", "backward"),
    ]


def test_what_is_no_layer_is_listed() -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            x = torch.softmax(functional.max_pool2d(functional.relu(x), 2), -1)
            x = functional.layer_norm(x, x.shape[-1:])
            return torch.linalg.inv(x), torch.fft.fft(x), x.sort(-1)[0], x.sum(-1), torch.cat([x, x])

    workload = from_torch(Odd(), (2, 3, 8, 8))
    listed = {each.name: each for each in workload.unmapped}
    assert (listed["relu"].kind, listed["relu"].operations) == ("elementwise", 384)
    assert (listed["_softmax"].kind, listed["_softmax"].operations) == ("elementwise", 5 * 96)
    pooled = next(each for name, each in listed.items() if name.startswith("max_pool2d"))
    assert (pooled.kind, pooled.operations) == ("reduction", 4 * 96)
    assert listed["native_layer_norm"].operations == 6 * 96
    assert (listed["cat"].kind, listed["cat"].operations, listed["cat"].elements) == ("movement", 0, 192)
    assert listed["sum"].operations == 96
    assert {listed["sort"].kind, listed["linalg_inv_ex"].kind} == {"other"}
    assert not workload.entries and "layers: none" in workload.report()


def test_operators_of_others_are_listed_and_noted() -> None:
    @torch.library.custom_op("jaxmaestro_tests::trick", mutates_args=())
    def trick(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    trick.register_fake(lambda x: torch.empty_like(x))
    workload = from_torch(lambda x: trick(x) @ x, (4, 4))
    assert len(workload) == 1
    assert "jaxmaestro_tests::trick: not PyTorch's own" in workload.report()


class _Decides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.fc(x) if x.sum() >= 0 else self.fc(self.fc(x))


def test_work_that_depends_on_values() -> None:
    with pytest.raises(DescriptionError, match="its work depends on values: give compute=True") as error:
        from_torch(_Decides(), (2, 4))
    assert "\n" not in str(error.value)
    assert _products(from_torch(_Decides(), torch.ones(2, 4), compute=True)) == [(2, 4, 4, 1)]
    assert _products(from_torch(_Decides(), -torch.ones(2, 4), compute=True)) == [(2, 4, 4, 2)]
    with torch.device("meta"):
        module = _Decides()
    with pytest.raises(DescriptionError, match="make the model on the CPU"):
        from_torch(module, (2, 4), compute=True)


@pytest.mark.parametrize(
    ("module", "args", "options", "message"),
    [
        (
            nn.Conv2d(3, 4, 3),
            [(1, 4, 8, 8)],
            {},
            r"Conv2d cannot be run on \(float32\[1,4,8,8\]\): RuntimeError",
        ),
        (nn.Linear(3, 4), [], {}, "give one example or shape for each argument"),
        (nn.Linear(3, 4), [(2, 0)], {}, "input 0 of Linear has a length of 0"),
        (nn.Linear(3, 4), ["float[2,3"], {}, "input 0 of Linear is 'float.2,3', which is no shape"),
        (nn.Linear(3, 4), ["float99[2,3]"], {}, "no type float99"),
        (nn.Linear(3, 4), [object()], {}, "which is no shape"),
        (nn.Linear(3, 4), [(2, 3)], {"padding": "none"}, "choose one of same-as-maestro, exact"),
        (3, [(2, 3)], {}, "int is no PyTorch model"),
        (nn.ReLU(), [(2, 3)], {"training": True}, "no output depends on a parameter"),
    ],
)
def test_bad_input_is_one_line(module: Any, args: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message) as error:
        from_torch(module, *args, **options)
    assert "\n" not in str(error.value)
