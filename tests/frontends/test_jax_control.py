"""Loops, branches, transformations and operators that are no layer."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import pallas
from jax.sharding import PartitionSpec

import jaxmaestro as jm
from jaxmaestro.formats.checks import validate_network
from jaxmaestro.frontends.jax_tracing import from_jax
from jaxmaestro.frontends.workload import Workload

SQUARE = (32, 32)


def _gemms(workload: Workload) -> list[tuple[int, int, int, int]]:
    return [
        (e.layer["M"], e.layer["N"], e.layer["K"], e.count)
        for e in workload.entries
        if e.layer.type.value == "GEMM"
    ]


def test_a_scan_in_a_scan() -> None:
    def step(x: Any, w: Any) -> Any:
        return jax.lax.fori_loop(0, 5, lambda _, y: jnp.tanh(y @ w), x), None

    workload = from_jax(lambda ws, x: jax.lax.scan(step, x, ws)[0], (7, 16, 16), (4, 16), parameters=0)
    assert _gemms(workload) == [(4, 16, 16, 35)]
    assert next(u for u in workload.unmapped if u.name == "tanh").operations == 35 * 4 * 16


def _loop(x: Any) -> Any:
    return jax.lax.while_loop(lambda y: (y @ y).sum() > 0, lambda y: y @ y @ y, x)


def test_a_while_loop_is_counted_once_and_marked() -> None:
    workload = from_jax(_loop, SQUARE)
    assert _gemms(workload) == [(32, 32, 32, 1)] * 3
    assert all(entry.unbounded for entry in workload.entries)
    assert "while_trips=" in workload.report()
    known = from_jax(_loop, SQUARE, while_trips=10)
    assert [count for *_, count in _gemms(known)] == [11, 10, 10]
    assert not any(entry.unbounded for entry in known.entries) and not known.notes


def test_branches() -> None:
    def fn(x: Any) -> Any:
        return jax.lax.switch(x.sum().astype(int), [lambda x: x @ x, lambda x: x @ x @ x, lambda x: x], x)

    largest, everything = from_jax(fn, SQUARE), from_jax(fn, SQUARE, branches="all")
    assert len(_gemms(largest)) == 2 and len(_gemms(everything)) == 3
    assert largest.notes == ("cond: of 3 branches the largest is counted, number 1",)


def test_remat_counts_what_is_done_again() -> None:
    def fn(w: Any, x: Any) -> Any:
        for i in range(2):
            x = jax.checkpoint(lambda x, i=i: jnp.tanh(jnp.tanh(x @ w[i]) @ w[i].T))(x)
        return x

    plain = from_jax(fn, (2, 16, 16), (8, 16), parameters=0)
    training = from_jax(fn, (2, 16, 16), (8, 16), parameters=0, training=True)
    macs = {
        phase: sum(e.macs * e.count for e in training.entries if e.phase == phase)
        for phase in ("forward", "recomputed", "backward")
    }
    assert macs["forward"] == plain.macs
    assert 0 < macs["recomputed"] <= plain.macs
    assert macs["backward"] == 2 * plain.macs - 8 * 16 * 16  # no gradient of the input


def test_names_in_loops_and_their_gradients() -> None:
    @jax.checkpoint
    def block(x: Any, w: Any) -> Any:
        with jax.named_scope("block"):
            return jnp.tanh(x @ w), None

    def fn(ws: Any, x: Any) -> Any:
        with jax.named_scope("outer"):
            return jax.lax.scan(block, x, ws)[0]

    workload = from_jax(fn, (3, 8, 8), (4, 8), parameters=0, training=True)
    assert [(e.layer.name, e.phase, e.count) for e in workload.entries] == [
        ("outer/block", "forward", 3),
        ("outer/block_2", "recomputed", 3),
        ("outer/block.grad_weight", "backward", 3),
        ("outer/block.grad_input", "backward", 3),
    ]


def test_a_function_of_gradients_is_read_as_it_is() -> None:
    def loss(w: Any, x: Any) -> Any:
        return (x @ w).sum()

    workload = from_jax(jax.grad(loss), (16, 4), (8, 16))
    assert {entry.phase for entry in workload.entries} == {"backward"}  # the loss itself is not used
    assert workload.macs == 8 * 16 * 4


def test_vmap_of_filters_makes_groups() -> None:
    def conv(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID")

    workload = from_jax(jax.vmap(conv), (5, 2, 3, 8, 8), (5, 4, 3, 3, 3))
    (entry,) = workload.entries
    assert entry.layer.type.value == "NGCONV"
    assert (entry.layer["G"], entry.layer["N"], entry.layer["C"], entry.layer["K"]) == (5, 2, 3, 4)
    assert entry.macs == 5 * 2 * 4 * 3 * 9 * 36


def test_gradient_of_a_depthwise_filter() -> None:
    def conv(w: Any, x: Any) -> Any:
        return jax.lax.conv_general_dilated(x, w, (2, 2), "SAME", feature_group_count=6)

    workload = from_jax(conv, (6, 1, 3, 3), (4, 6, 9, 9), parameters=0, training=True, padding="exact")
    forward, gradient = workload.entries
    assert forward.layer.type.value == "DSCONV"
    assert gradient.layer.name == "parameters.grad_weight"
    assert forward.macs == gradient.macs == 4 * 6 * 9 * 25


def test_any_batch_and_contracting_dimensions() -> None:
    workload = from_jax(lambda a, b: jnp.einsum("abcde,cafdg->acbfg", a, b), (2, 3, 4, 5, 6), (4, 2, 7, 5, 8))
    ((m, n, k, count),) = _gemms(workload)
    assert (m, n, k, count) == (3, 7 * 8, 5, 2 * 4)  # e is summed up before


def test_the_filter_is_what_is_made_of_parameters() -> None:
    def fn(w: Any, x: Any) -> Any:
        return jnp.tanh(w.T * 2.0) @ x  # [out, in] @ [in, tokens]

    known, unknown = from_jax(fn, (16, 4), (16, 100), parameters=0), from_jax(fn, (16, 4), (16, 100))
    assert _gemms(known) == [(100, 4, 16, 1)]
    assert _gemms(unknown) == [(4, 100, 16, 1)]
    assert known.parameters == 64 and unknown.parameters is None


def test_custom_rules_jit_and_vmap() -> None:
    @jax.custom_vjp
    def product(x: Any, w: Any) -> Any:
        return x @ w

    product.defvjp(lambda x, w: (product(x, w), (x, w)), lambda r, g: (g @ r[1].T, r[0].T @ g))
    fn = jax.jit(jax.vmap(product, (0, None)))
    assert from_jax(fn, (3, 8, 16), (16, 4)).macs == 3 * 8 * 16 * 4
    training = from_jax(lambda w, x: fn(x, w), (16, 4), (3, 8, 16), parameters=0, training=True)
    assert training.macs == 2 * 3 * 8 * 16 * 4


def test_shard_map_counts_all_devices() -> None:
    mesh = jax.sharding.AbstractMesh((4, 2), ("a", "b"))
    rows, columns = PartitionSpec("a", "b"), PartitionSpec("b", None)
    fn = jax.shard_map(
        lambda x, w: jax.lax.psum(x @ w, "b"),
        mesh=mesh,
        in_specs=(rows, columns),
        out_specs=PartitionSpec("a"),
    )
    workload = from_jax(fn, (64, 32), (32, 16))
    assert _gemms(workload) == [(16, 16, 16, 8)]
    assert workload.macs == 64 * 32 * 16
    assert "one device's part" in workload.notes[0]
    assert any(u.kind == "communication" for u in workload.unmapped)


def test_pallas_kernels_are_read_tile_by_tile() -> None:
    def kernel(x: Any, w: Any, out: Any) -> None:
        out[...] = x[...] @ w[...]

    block = functools.partial(pallas.BlockSpec)
    fn = pallas.pallas_call(
        kernel,
        out_shape=jax.ShapeDtypeStruct((64, 96), jnp.float32),
        grid=(2, 3),
        in_specs=[block((32, 16), lambda i, j: (i, 0)), block((16, 32), lambda i, j: (0, j))],
        out_specs=block((32, 32), lambda i, j: (i, j)),
    )
    assert _gemms(from_jax(fn, (64, 16), (16, 96))) == [(32, 32, 16, 6)]


def test_ragged_products() -> None:
    workload = from_jax(jax.lax.ragged_dot, (64, 16), (4, 16, 32), "int32[4]")
    assert _gemms(workload) == [(16, 32, 16, 4)]
    assert workload.macs == 64 * 16 * 32
    assert "taken to be equal" in workload.report()


def test_a_linear_solver_is_counted_once() -> None:
    workload = from_jax(jnp.linalg.solve, SQUARE, (32,))
    solves = next(u for u in workload.unmapped if u.name == "triangular_solve")
    assert (solves.calls, solves.operations) == (2, 2 * 32 * 32)
    assert not workload.entries  # matrix products of it are for gradients alone


def test_everything_that_is_no_layer_is_listed() -> None:
    def fn(table: Any, ids: Any, x: Any) -> Any:
        y = table[ids] + x
        y = jax.nn.softmax(y @ y.T)
        y = jnp.sort(y) + jnp.fft.fft(y).real + jnp.cumsum(y, 0)
        y = y.at[ids].add(1.0)
        return jax.pure_callback(lambda a: a, jax.ShapeDtypeStruct(y.shape, y.dtype), y)

    workload = from_jax(fn, (100, 16), "int32[8]", (8, 16))
    found = {each.name: each for each in workload.unmapped}
    assert found["exp"].kind == "elementwise" and found["exp"].operations == 64
    assert found["reduce_max"].kind == "reduction" and found["reduce_max"].operations == 64
    assert found["gather"].kind == "movement" and found["gather"].elements == 8 * 16
    assert found["cumsum"].operations == 64 and found["scatter-add"].operations == 64
    assert found["sort"].kind == "other" and found["sort"].operations == 64 * 3
    assert found["pure_callback"].operations == 0
    assert "pure_callback: its work cannot be seen and is not counted" in workload.notes
    assert workload.operations == sum(each.operations for each in workload.unmapped)
    text = workload.report()
    assert all(each.name in text for each in workload.unmapped)
    assert _gemms(workload) == [(8, 8, 16, 1)]


POWERS = [functools.partial(jax.lax.integer_pow, y=y) for y in (-3, -1, 2, 3, 5, 7, 8)]


@pytest.mark.parametrize("fn", [jax.nn.sigmoid, jax.nn.silu, jax.nn.gelu, jnp.square, *POWERS])
def test_operations_are_those_that_xla_counts(fn: Any) -> None:
    analysis: Any = jax.jit(fn).lower(jax.ShapeDtypeStruct((1000,), jnp.float32)).cost_analysis()
    flops = analysis["flops"] + analysis.get("transcendentals", 0)
    assert from_jax(fn, (1000,), name="fn").operations == flops


def test_stacking_moves_data() -> None:
    found = {each.name: each for each in from_jax(lambda x, y: jnp.stack([x, y]), (3,), (3,)).unmapped}
    moved = [each for each in found.values() if each.elements == 6]
    assert moved and all((each.kind, each.operations) == ("movement", 0) for each in found.values())


def test_empty_products_are_listed_and_make_no_layer() -> None:
    none = jax.ShapeDtypeStruct((0, 8), jnp.float32)
    workload = from_jax(lambda a, b: a @ b, none, (8, 4))
    assert not workload.entries
    assert [(u.name, u.calls) for u in workload.unmapped] == [("empty product", 1)]


def test_what_is_not_used_is_left_out() -> None:
    def fn(x: Any) -> Any:
        _ = x @ x @ x
        return x @ x

    assert len(from_jax(fn, SQUARE)) == 1


def test_a_workload_is_a_network_as_any_other(tmp_path: Any) -> None:
    def fn(x: Any, w: Any, v: Any) -> Any:
        with jax.named_scope("first (a, b)"):
            y = jax.lax.conv_general_dilated(x, w, (2, 2), "SAME", feature_group_count=4)
        y = jax.lax.conv_general_dilated(y, v, (1, 1), "SAME")
        return y.reshape(2, -1) @ jnp.ones((8 * 16, 10))

    workload = from_jax(fn, (2, 4, 8, 8), (4, 1, 3, 3), (8, 4, 3, 3), padding="exact", name="my net")
    assert [layer.type.value for layer in workload.layers] == ["DSCONV", "CONV", "GEMM"]
    assert all(layer["N"] == 2 for layer in workload.layers[:2])
    path = tmp_path / "net.m"
    jm.write_model(workload.network(), path)
    assert [mapped.layer for mapped in jm.read_model(path)] == workload.layers

    def dataflow(layer: jm.Layer) -> jm.Dataflow:
        spatial = {"GEMM": "M", "DSCONV": "C", "CONV": "K"}[layer.type.value]
        return jm.Dataflow([jm.SpatialMap(1, 1, spatial)])

    network = workload.network(dataflow)
    validate_network(network)
    assert network.macs == workload.macs
    assert [str(mapped.dataflow) for mapped in network][1:] == ["SpatialMap(1,1) K;", "SpatialMap(1,1) M;"]


def test_batches_are_given_to_all_layers_of_a_kind() -> None:
    def fn(x: Any, w: Any, v: Any) -> Any:
        y = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME")
        return y, jax.lax.conv_general_dilated(y[:1], v, (1, 1), "SAME")

    layers = from_jax(fn, (3, 4, 8, 8), (4, 4, 3, 3), (4, 4, 3, 3)).layers
    assert [layer["N"] for layer in layers] == [3, 1]


@pytest.mark.parametrize("products", ["auto", "gemm", "conv"])
def test_products_of_one_row(products: Any) -> None:
    workload = from_jax(lambda x, w: x @ w, (1, 64), (64, 10), products=products)
    (layer,) = workload.layers
    assert layer.type.value == ("GEMM" if products == "gemm" else "CONV")
    assert layer.macs == workload.macs == 640
