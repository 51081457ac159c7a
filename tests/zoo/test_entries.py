"""Names and options of the zoo: what is there, what is refused and how."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jaxmaestro import zoo
from jaxmaestro.description import DescriptionError


def test_every_network_is_documented() -> None:
    assert len(zoo.NAMES) == len(set(zoo.NAMES)) == 21
    for name in zoo.NAMES:
        entry = zoo.entry(name)
        assert entry.name == name and entry.title and entry.source
        assert entry.options["batch"] == 1
        assert entry.complete() == dict(entry.options)
        assert set(entry.limits) | set(entry.published_options) <= set(entry.options)
        assert entry.complete(**entry.published_options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5", {}, "the zoo has no network 'resnet5'; did you mean resnet50 or"),
        ("xyz", {}, "no network 'xyz'; choose one of alexnet, vgg16, "),
        (3, {}, "no network 3; choose one of"),
        ("resnet50", {"images": 64}, "resnet50 has no option images; did you mean image?"),
        ("ncf", {"tokens": 64}, "ncf has no option tokens; its options are batch"),
        ("alexnet", {"image": 62}, "image of alexnet is 62; it must be at least 63"),
        ("vit_b16", {"image": 220}, "image of vit_b16 is 220; give one that fits, such as 208 or 224"),
        ("unet", {"image": 570}, "image of unet is 570; give one that fits, such as 556 or 572"),
        ("gpt2", {"tokens": 1025}, "tokens of gpt2 is 1025; it must be at most 1024"),
        ("llama_decode", {"size": "8b"}, "size of llama_decode is '8b'; choose one of 7b, 13b, 70b"),
        ("llama_decode", {"size": 7}, "size of llama_decode is 7; choose one of"),
        ("googlenet", {"auxiliary": 1}, "auxiliary of googlenet is 1; choose one of True, False"),
        ("ncf", {"batch": 0}, "batch of ncf is 0; it must be at least 1"),
        ("ncf", {"batch": 2.0}, "batch of ncf is 2.0, which is no integer"),
        ("ncf", {"padding": "none"}, "padding is 'none'; choose one of"),
        ("ncf", {"products": "none"}, "products is 'none'; choose one of"),
    ],
)
def test_one_line(name: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        zoo.workload(name, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "squeezenet", "unet"])
def test_the_smallest_images(name: str) -> None:
    module, (shape,) = zoo.entry(name).build(image=zoo.entry(name).limits["image"].least)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    out, _ = jax.eval_shape(lambda x: module.init_with_output(jax.random.key(0), x), x)
    assert out.size > 0


def test_names_need_neither_jax_nor_flax() -> None:
    code = (
        "import sys; from jaxmaestro import zoo; assert zoo.entry('gnmt').complete();"
        "print([name for name in ('jax', 'flax') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
