"""Bad input of from_jax is one line that says what to do."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.jax_tracing import from_jax
from jaxmaestro.zoo.residual import ResNet
from jaxmaestro.zoo.transformers import Block


def _double(x: Any) -> Any:
    return x * 2 if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("fn", "shapes", "options", "message"),
    [
        (jnp.tanh, [(1, -3)], {}, "shape 0 of tanh has a length of -3; lengths are integers from 1"),
        (jnp.tanh, [(1, 2.5)], {}, "shape 0 of tanh has a length of 2.5; lengths"),
        (jnp.tanh, ["1x3"], {}, "shape 0 of tanh is '1x3', which is no shape; give a shape such as"),
        (jnp.tanh, ["real[3]"], {}, "no type real; give one such as float32"),
        (jnp.tanh, [object()], {}, "which is no shape; give a shape"),
        (jnp.matmul, [(4, 5), (6, 7)], {}, r"matmul cannot be traced on \(float32\[4,5\], float32\[6,7\]\)"),
        (jnp.matmul, [(4, 5)], {}, "give one shape for each argument"),
        (Block(), [(2, 8, 700)], {}, r"Block cannot be traced on \(float32\[2,8,700\]\)"),
        (_double, [(3,)], {}, "give what Python decides on as static="),
        (jnp.tanh, [(3,)], {"padding": "same"}, "padding is 'same'; choose one of same-as-maestro, exact"),
        (jnp.tanh, [(3,)], {"products": "fc"}, "products is 'fc'; choose one of auto, gemm, conv"),
        (jnp.tanh, [(3,)], {"branches": "first"}, "branches is 'first'; choose one of largest, all"),
        (jnp.tanh, [(3,)], {"while_trips": -1}, "while_trips is -1"),
        (jnp.tanh, [(3,)], {"parameters": 1}, "parameters has the index 1, but there are 1 shapes"),
        (jnp.tanh, [(3,)], {"training": True}, r"say which shapes are parameters \(parameters=0\)"),
        (ResNet(), [(1, 32, 32, 3)], {"parameters": 0}, "for a module, which has its own"),
        (3, [(3,)], {}, "int is no function"),
        (
            jnp.matmul,
            [jax.ShapeDtypeStruct((2**20, 2**20, 4), jnp.float32), (4, 4)],
            {},
            "too large; numbers go up to 2147483647",
        ),
    ],
)
def test_one_line(fn: Any, shapes: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message) as caught:
        from_jax(fn, *shapes, **options)
    assert "\n" not in str(caught.value)


def test_the_functions_own_error_is_kept() -> None:
    with pytest.raises(DescriptionError) as caught:
        from_jax(jnp.matmul, (4, 5), (6, 7))
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    "shape",
    [
        (4, 5),
        [4, 5],
        "float32[4,5]",
        "f32[4, 5]",
        jax.ShapeDtypeStruct((4, 5), jnp.float32),
        jnp.ones((4, 5)),
    ],
)
def test_ways_to_give_a_shape(shape: Any) -> None:
    workload = from_jax(lambda x: x["a"] @ x["a"].T * x["b"], {"a": shape, "b": 2.0})
    assert workload.macs == 4 * 4 * 5


def test_a_scalar_shape() -> None:
    assert from_jax(jnp.tanh, ()).operations == 1


def test_keys_and_absent_arguments() -> None:
    def fn(parameters: Any, nothing: None, key: Any, x: Any) -> Any:
        return x @ parameters["w"] * jax.random.bernoulli(key, 0.5, (3, 4))

    workload = from_jax(fn, {"w": (8, 4)}, None, jax.random.key(0), (3, 8), parameters=0)
    assert [layer.name for layer in workload.layers] == ["w"]
    assert any(each.name == "random_bits" for each in workload.unmapped)
    assert "random_bits: an estimate" in workload.report()


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Linear:
    """A module in the manner of Equinox: a pytree with arrays that can be called."""

    weight: Any
    bias: Any
    scale: float = dataclasses.field(default=2.0, metadata={"static": True})

    def __call__(self, x: Any) -> Any:
        return self.weight @ x * self.scale + self.bias


def test_a_module_that_is_a_pytree() -> None:
    shapes = jax.eval_shape(lambda: Linear(jnp.zeros((10, 64)), jnp.zeros(10)))
    workload = from_jax(jax.vmap(lambda m, x: m(x), (None, 0)), shapes, (7, 64), parameters=0)
    module = from_jax(shapes, (64,))
    assert workload.parameters == module.parameters == 650
    (batched,), (single,) = workload.layers, module.layers
    assert (batched["M"], batched["N"], batched["K"]) == (7, 10, 64)
    assert (single["K"], single["C"]) == (10, 64)  # one row: fully connected
    assert single.name == batched.name == "weight"
    assert module.name == "Linear"
