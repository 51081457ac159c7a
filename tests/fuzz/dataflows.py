"""Random dataflows for a layer: the named ones, GAMMA-like ones, and free ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.layers import RandomLayer

Level = list[str]
"""Directives of one cluster level as text, without the closing semicolon."""

WINDOW = {"Y": "R", "X": "S"}


def temporal(size: object, offset: object, dimension: str) -> str:
    """``TemporalMap(size,offset) D``."""
    return f"TemporalMap({size},{offset}) {dimension}"


def spatial(size: object, offset: object, dimension: str) -> str:
    """``SpatialMap(size,offset) D``."""
    return f"SpatialMap({size},{offset}) {dimension}"


def whole(dimension: str) -> str:
    """A dimension held as a whole: ``TemporalMap(Sz(D),Sz(D)) D``."""
    return temporal(f"Sz({dimension})", f"Sz({dimension})", dimension)


def tile(rng: Random, size: int) -> int:
    """A tile of a dimension: 1, a power of two, a divisor, anything, all, or more than there is."""
    kind = rng.choices(("one", "power", "divisor", "any", "all", "more"), (32, 20, 16, 16, 10, 6))[0]
    if kind == "power":
        return min(size, 1 << rng.randint(0, 6))
    if kind == "divisor":
        return rng.choice([d for d in range(1, size + 1) if size % d == 0])
    if kind == "any":
        return rng.randint(1, size)
    if kind == "more":
        return rng.randint(size, 2 * size + 2)
    return size if kind == "all" else 1


def sliding(
    rng: Random, layer: RandomLayer, axis: str, mapper: Callable[..., str], *, outputs: bool = True
) -> str:
    """A map over Y or X in one of the ways that people write it.

    ``outputs``: an output-centric map may be made, which needs a map over R or S
    (by number) in the same level.
    """
    window = layer.input_sizes[WINDOW[axis]]
    size = layer.input_sizes[axis]
    kind = rng.choices(
        ("unit", "numbers", "overlap", "output", "all", "plain", "gap"), (34, 6, 20, 20, 6, 12, 2)
    )[0]
    if kind == "output" and outputs:
        count = tile(rng, max(1, size - window + 1))
        return mapper(count, count, axis + "'")
    if kind == "numbers":
        return mapper(window, 1, axis)
    if kind == "overlap":
        count = tile(rng, max(1, size - window + 1))
        return mapper(window + count - 1, count, axis)
    if kind == "all" and axis in layer.sizes:
        return mapper(f"Sz({axis})", f"Sz({axis})", axis)
    if kind == "plain":
        count = tile(rng, size)
        return mapper(count, count, axis)
    if kind == "gap":
        return mapper(f"Sz({WINDOW[axis]})", rng.randint(1, window + 3), axis)
    return mapper(f"Sz({WINDOW[axis]})", 1, axis)


def plain(rng: Random, size: int, dimension: str, mapper: Callable[..., str], *, odd: float = 0.02) -> str:
    """A map over a dimension that does not slide; with chance ``odd`` its tiles overlap or leave gaps."""
    count = tile(rng, size)
    offset = count
    if count > 1 and rng.random() < odd:
        offset = rng.randint(1, count + 3)
    return mapper(count, offset, dimension)


def cluster(rng: Random, size: object) -> str:
    """``Cluster(size,P)``, seldom ``L`` (the reference makes no difference)."""
    return f"Cluster({size}, {'L' if rng.random() < 0.04 else 'P'})"


def join(rng: Random, levels: list[Level], clusters: list[object]) -> list[str]:
    """One list of directives out of levels and the cluster sizes between them."""
    lines: list[str] = []
    for level, size in zip(levels, [*clusters, None], strict=True):
        lines += level
        if size is not None:
            lines.append(cluster(rng, size))
    return lines


def _extras(rng: Random, layer: RandomLayer) -> Level:
    """Maps over N and G at the top (often left out: they are then unrolled)."""
    found = []
    for d in ("N", "G"):
        if d in layer.sizes and rng.random() < 0.8:
            found.append(plain(rng, layer.sizes[d], d, temporal))
    return found


def _vary(rng: Random, levels: list[Level]) -> list[Level]:
    """Shuffle a level now and then, and now and then forget a directive."""
    found = []
    for given in levels:
        level = list(given)
        if rng.random() < 0.2:
            rng.shuffle(level)
        temporals = [d for d in level if d.startswith("TemporalMap") and not d.endswith((" R", " S"))]
        if temporals and rng.random() < 0.1:
            level.remove(rng.choice(temporals))
        elif rng.random() < 0.05 and not any(d.endswith("'") for d in level):
            level = [d for d in level if d not in (whole("R"), whole("S"))] or level
        found.append(level)
    return found


def _count(rng: Random, limit: int, most: int = 64) -> int:
    return (
        rng.choice((1, 2, 4, 8, 16, 32, 64, rng.randint(1, most)))
        if rng.random() < 0.03
        else max(1, min(limit, rng.choice((1, 2, 3, 4, 8, 16, 32, 64, rng.randint(1, most), limit))))
    )


def _channel(layer: RandomLayer) -> str:
    """The channel that stands where K does: K, or C in a depth-wise layer."""
    return "C" if layer.type == "DSCONV" else "K"


def kcp(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """Weight stationary over K and C (NVDLA-like)."""
    group = _count(rng, pes)
    k, c = _channel(layer), "C" if layer.type != "DSCONV" else rng.choice("XY")
    rows = [
        sliding(rng, layer, a, temporal) if rng.random() < 0.4 else temporal(f"Sz({WINDOW[a]})", 1, a)
        for a in "YX"
    ]
    top = [
        *_extras(rng, layer),
        spatial(1, 1, k) if rng.random() < 0.8 else plain(rng, layer.sizes[k], k, spatial),
    ]
    inner = [spatial(1, 1, c)]
    if c == "C":
        top.append(
            temporal(group, group, "C") if rng.random() < 0.7 else plain(rng, layer.sizes["C"], "C", temporal)
        )
        inner += [temporal("Sz(R)", 1, "Y"), temporal("Sz(S)", 1, "X")]
    top += [whole("R"), whole("S"), *rows]
    inner += [whole("R"), whole("S")]
    return join(rng, _vary(rng, [top, inner]), [group])


def _channel_tiles(rng: Random, layer: RandomLayer) -> Level:
    names = ["C"] if layer.type == "DSCONV" else rng.sample("KC", 2)
    return [plain(rng, layer.sizes[d], d, temporal) for d in names]


def yrp(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """Row stationary (Eyeriss-like): rows over clusters, filter rows inside."""
    top = [*_extras(rng, layer), *_channel_tiles(rng, layer)]
    top.append(rng.choice((spatial("Sz(R)", 1, "Y"), spatial(1, 1, "Y'"), sliding(rng, layer, "Y", spatial))))
    top += [
        rng.choice((temporal("Sz(S)", 1, "X"), sliding(rng, layer, "X", temporal))),
        whole("R"),
        whole("S"),
    ]
    inner = [spatial(1, 1, "Y"), spatial(1, 1, "R"), whole("S")]
    if rng.random() < 0.3:
        inner = [temporal(1, 1, d) for d in ("C", "K") if d in layer.sizes and layer.type != "DSCONV"] + inner
    if rng.random() < 0.2:
        inner.append(temporal("Sz(S)", 1, "X"))
    return join(rng, _vary(rng, [top, inner]), ["Sz(R)"])


def rs_xs(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """Rows over clusters, columns and filter columns inside."""
    top = [*_extras(rng, layer), *_channel_tiles(rng, layer), whole("R"), spatial("Sz(R)", 1, "Y")]
    top += [temporal("Sz(S)", 1, "X"), whole("S")]
    inner = [spatial(1, 1, "X"), spatial(1, 1, "S")]
    return join(rng, _vary(rng, [top, inner]), ["Sz(S)" if rng.random() < 0.4 else layer.sizes["S"]])


def yxp(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """Output stationary over Y and X (ShiDianNao-like)."""
    group = _count(rng, pes)
    window = layer.sizes["S"]
    top = [*_extras(rng, layer), *_channel_tiles(rng, layer), spatial("Sz(R)", 1, "Y")]
    top.append(
        temporal(window + group - 1, group, "X") if rng.random() < 0.6 else sliding(rng, layer, "X", temporal)
    )
    top += [whole("R"), whole("S")]
    inner = [spatial("Sz(S)", 1, "X"), whole("R"), whole("S")]
    return join(rng, _vary(rng, [top, inner]), [group])


def xp(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """One level, columns over PEs."""
    top = [*_extras(rng, layer), *_channel_tiles(rng, layer)]
    top += [temporal("Sz(R)", 1, "Y"), spatial("Sz(S)", 1, "X"), whole("R"), whole("S")]
    return join(rng, _vary(rng, [top]), [])


def ykp(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """Output stationary over Y and K."""
    group = _count(rng, pes)
    k = _channel(layer)
    top = [
        *_extras(rng, layer),
        temporal(group, group, k) if rng.random() < 0.7 else plain(rng, layer.sizes[k], k, temporal),
    ]
    top += [spatial("Sz(R)", 1, "Y"), temporal("Sz(S)", 1, "X")]
    if k != "C":
        top.append(temporal(1, 1, "C"))
    top += [whole("R"), whole("S")]
    inner = [spatial(1, 1, k), temporal("Sz(R)", 1, "Y"), temporal("Sz(S)", 1, "X"), whole("R"), whole("S")]
    return join(rng, _vary(rng, [top, inner]), [group])


def maeri(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """Filter rows and columns over PEs in two inner levels (MAERI-like)."""
    k = _channel(layer)
    top = [*_extras(rng, layer)]
    if k != "C":
        top.append(plain(rng, layer.sizes["C"], "C", temporal) if rng.random() < 0.5 else temporal(1, 1, "C"))
    top += [spatial(1, 1, k), temporal(1, 1, "Y'"), temporal(1, 1, "X'"), whole("R"), whole("S")]
    levels = [top, [spatial(1, 1, "Y"), spatial(1, 1, "R")], [spatial(1, 1, "X"), spatial(1, 1, "S")]]
    if rng.random() < 0.25:
        levels[1].insert(0, temporal(1, 1, "C"))
    return join(rng, _vary(rng, levels), ["Sz(R)", "Sz(S)"])


def one_level(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """One level with one dimension over PEs and simple tiles."""
    names = ["K", "C", "Y", "X"] if layer.type != "DSCONV" else ["C", "Y", "X"]
    chosen = rng.choice(names)
    top = _extras(rng, layer)
    for d in names:
        mapper = spatial if d == chosen else temporal
        if d in WINDOW:
            top.append(mapper(f"Sz({WINDOW[d]})", 1, d))
        else:
            top.append(mapper(1, 1, d) if rng.random() < 0.5 else plain(rng, layer.sizes[d], d, mapper))
    return join(rng, _vary(rng, [[*top, whole("R"), whole("S")]]), [])


def nlr(rng: Random, layer: RandomLayer, pes: int) -> list[str]:
    """No local reuse: channels over PEs, one output at a time."""
    group = _count(rng, pes)
    k = _channel(layer)
    top = [*_extras(rng, layer), temporal(1, 1, "Y'"), temporal(1, 1, "X'"), whole("R"), whole("S")]
    top.append(plain(rng, layer.sizes[k], k, spatial))
    inner = [spatial(1, 1, "C"), temporal(1, 1, "Y'"), temporal(1, 1, "X'"), whole("R"), whole("S")]
    if k != "C":
        top.append(temporal(group, group, "C"))
        inner.append(temporal(1, 1, "K"))
    return join(rng, _vary(rng, [top, inner]), [group])


NAMED: dict[str, Callable[[Random, RandomLayer, int], list[str]]] = {
    "kcp": kcp,
    "yrp": yrp,
    "rs_xs": rs_xs,
    "yxp": yxp,
    "xp": xp,
    "ykp": ykp,
    "maeri": maeri,
    "one_level": one_level,
    "nlr": nlr,
}
