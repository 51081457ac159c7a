"""Random layers: a type, dimensions and strides, as they stand in a mapping file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from random import Random

CHANNELS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
PICTURES = (7, 14, 16, 27, 28, 32, 56, 64, 112, 224)
FILTERS = (1, 1, 3, 3, 3, 3, 5, 5, 7, 11)
REAL_CONVOLUTIONS = (
    # K, C, R, S, Y, X, stride: shapes of common image networks, padding included in Y and X
    (64, 3, 3, 3, 226, 226, 1),
    (64, 64, 3, 3, 226, 226, 1),
    (512, 512, 3, 3, 16, 16, 1),
    (64, 3, 7, 7, 230, 230, 2),
    (256, 64, 1, 1, 56, 56, 1),
    (512, 256, 1, 1, 56, 56, 2),
    (2048, 512, 1, 1, 7, 7, 1),
    (96, 3, 11, 11, 227, 227, 4),
    (256, 48, 5, 5, 31, 31, 1),
    (384, 256, 3, 3, 15, 15, 1),
    (1000, 4096, 1, 1, 1, 1, 1),
    (4096, 25088, 1, 1, 1, 1, 1),
    (32, 3, 3, 3, 225, 225, 2),
    (16, 32, 1, 1, 112, 112, 1),
)


@dataclasses.dataclass(frozen=True)
class RandomLayer:
    """One layer; ``sizes`` are by declared name (Y' and X' possible), ``input_sizes`` by Y and X."""

    type: str
    sizes: Mapping[str, int]
    strides: Mapping[str, int]
    stride_declared: bool = True

    @property
    def input_sizes(self) -> dict[str, int]:
        """Sizes with Y and X where Y' and X' were declared."""
        sizes = dict(self.sizes)
        for out, inp, window in (("Y'", "Y", "R"), ("X'", "X", "S")):
            if out in sizes:
                sizes[inp] = sizes.pop(out) + sizes[window] - 1
        return sizes

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Input-centric dimension names that a directive may map."""
        return tuple(self.input_sizes)


def _channels(rng: Random) -> int:
    return rng.choice((rng.randint(1, 12), rng.choice(CHANNELS), rng.randint(1, 600)))


def _picture(rng: Random, least: int) -> int:
    return max(least, rng.choice((rng.randint(1, 20), rng.choice(PICTURES), rng.randint(1, 230))))


def _windows(rng: Random) -> tuple[int, int]:
    if rng.random() < 0.8:
        size = rng.choice(FILTERS)
        return size, size
    return rng.randint(1, 11), rng.randint(1, 11)


def _strides(rng: Random, wild: bool) -> dict[str, int]:
    y = rng.choice((1, 2, 3, 4)) if wild else rng.choices((1, 2, 3, 4), (50, 30, 12, 8))[0]
    x = rng.randint(1, 4) if rng.random() < (0.7 if wild else 0.15) else y
    return {"X": x, "Y": y}


def convolution(
    rng: Random,
    type: str = "CONV",
    *,
    batch: bool = False,
    fully_connected: bool = False,
    output_dimensions: bool = False,
    wild_strides: bool = False,
    degenerate: bool = False,
    real: bool = False,
) -> RandomLayer:
    """A convolution of some type.

    ``fully_connected``: the filter covers the picture (a third of them 1x1).
    ``degenerate``: the window may be larger than the picture, sizes are tiny.
    """
    r, s = _windows(rng)
    sizes = {"K": _channels(rng), "C": _channels(rng), "R": r, "S": s}
    sizes |= {"Y": _picture(rng, r), "X": _picture(rng, s)}
    strides = _strides(rng, wild_strides)
    if real:
        *shape, stride = rng.choice(REAL_CONVOLUTIONS)
        sizes = dict(zip(sizes, shape, strict=True))
        strides = {"X": stride, "Y": stride}
    if fully_connected:
        sizes |= {"Y": r, "X": s} if rng.random() < 0.6 else dict.fromkeys("RSYX", 1)
    if degenerate:
        sizes = {d: rng.randint(1, 6) if rng.random() < 0.6 else n for d, n in sizes.items()}
        if rng.random() < 0.5:
            sizes |= {"Y": max(sizes["Y"], sizes["R"]), "X": max(sizes["X"], sizes["S"])}
    if type == "DSCONV":
        if rng.random() < 0.85:
            sizes["K"] = 1
        if rng.random() < 0.15:
            del sizes["K"]
    if type == "NGCONV":
        sizes = {"G": rng.choice((1, 2, 3, 4, 5, 7, 8, 16, 32)), **sizes}
    if batch:
        sizes = {"N": rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)), **sizes}
    if output_dimensions:
        sizes = _declare_outputs(rng, sizes)
        strides = {rng.choice((d, d + "'")): n for d, n in strides.items()}
    if rng.random() < 0.25:
        sizes = dict(rng.sample(list(sizes.items()), len(sizes)))
    declared = max(strides.values()) > 1 or rng.random() < 0.7
    return RandomLayer(type, sizes, strides, declared)


def _declare_outputs(rng: Random, sizes: dict[str, int]) -> dict[str, int]:
    """Y' and X' instead of Y and X (one of the two alone leaves a stride unset in the reference)."""
    renamed = {"Y": ("Y'", "R"), "X": ("X'", "S")}
    found: dict[str, int] = {}
    for d, n in sizes.items():
        if d in renamed:
            out, window = renamed[d]
            found[out] = max(1, n - sizes[window] + 1) if rng.random() < 0.8 else n
        else:
            found[d] = n
    return found


def matrix_product(rng: Random) -> RandomLayer:
    """A GEMM with M, N and K up to 2,000."""
    size = [
        rng.choice((rng.randint(1, 20), rng.randint(1, 200), rng.choice(CHANNELS), rng.randint(1, 2000)))
        for _ in "MNK"
    ]
    items = list(zip(rng.sample("MNK", 3) if rng.random() < 0.5 else "KMN", size, strict=True))
    return RandomLayer("GEMM", dict(items), {}, False)
