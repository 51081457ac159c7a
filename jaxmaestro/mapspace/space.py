"""The mappings of a layer as an array program: sampled, repaired and laid out as directives inside jit.

A mapping gives each cluster level a spatial dimension, an order of loops, a tile of every
dimension that lies within the tile above, and closes it with a cluster size. Filters (R, S)
stay whole unless they are spread out. Tiles of Y and X are written over inputs, with the
filter's rows and the stride worked in.

Along an axis with a stride the reference counts every position of the filter in a tile, not every
second one, so that tiles of several outputs give too many MACs, unless the filter has size 1 and
tiles divide evenly. Other tiles are left out of the space (docs/search.md).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.description import Dataflow, DescriptionError, Layer
from jaxmaestro.encoding import slots
from jaxmaestro.encoding.encode import encode_layers
from jaxmaestro.encoding.tables import Batch, HardwareTable, LayerTable, MappingTable
from jaxmaestro.mapspace import directives, enumeration
from jaxmaestro.mapspace.choices import at_most, divisors_of, pick, pick_size, uniform, whole_numbers
from jaxmaestro.mapspace.genes import Genes
from jaxmaestro.mapspace.options import MappingOptions

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MappingSpace:
    """The mappings of one layer, or of several side by side (arrays then lead with ``[l]``).

    Make one with :meth:`of`. Everything but ``size``, ``all`` and ``dataflow`` can be traced and
    is the same with and without 64-bit types. To work on the layers of a batch one by one,
    ``jax.vmap`` over the space.
    """

    extent: Array  # int32 [8]: what the top level tiles; outputs along Y and X
    largest: Array  # int32 [8]: the largest tile: the extent, or what counts right
    named: Array  # bool [8]: the layer has the dimension and directives name it
    even: Array  # bool [8]: a tile divides the one above it
    whole: Array  # bool [8]: R and S, never tiled in time
    stride: Array  # int32 [8]: a tile of t is (t - 1) * stride + window elements
    divisors: Array  # int32 [8, q]: of the largest tile, ascending, the last repeated
    spatial: Array  # bool [8]: may be spread over sub-clusters
    cluster_sizes: Array  # int32 [s]: allowed, ascending
    num_pes: Array  # int32: clusters multiply to no more
    layers: LayerTable  # the row of the layer
    options: MappingOptions = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(
        cls, layers: Layer | Sequence[Layer], num_pes: int, options: MappingOptions | None = None
    ) -> MappingSpace:
        """The space of a layer, or of several side by side, on so many PEs.

        Raises DescriptionError for no layers, a layer that the cost model cannot take, no PEs,
        or options that leave nothing.
        """
        options = options or MappingOptions()
        many = [layers] if isinstance(layers, Layer) else list(layers)
        if not many:
            raise DescriptionError("a mapping space of no layers", fix="give one Layer at least")
        if num_pes < 1:
            raise DescriptionError(f"a mapping space on {num_pes} PEs", fix="give one PE at least")
        table = encode_layers(many)
        extent, largest, even, named, whole, stride, spatial = _dimensions(table, options)
        empty = (np.asarray(table.flags) > 0) | ~named.any(1) | (extent < 1).any(1)
        for layer, nothing in zip(many, empty.tolist(), strict=True):
            if nothing:
                raise DescriptionError(
                    "the mapping space is empty: the layer is incomplete, or its filter exceeds its input",
                    layer=layer.name,
                    line=layer.line,
                    fix="give every dimension of its type, and inputs that hold a filter",
                )
        sizes = options.cluster_sizes(num_pes)
        space = cls(
            extent=extent,
            largest=largest,
            even=even,
            named=named,
            whole=whole,
            stride=stride,
            divisors=divisors_of(largest),
            spatial=spatial,
            cluster_sizes=np.tile(np.array(sizes, np.int32), (len(many), 1)),
            num_pes=np.full(len(many), num_pes, np.int32),
            layers=table,
            options=options,
        )
        return space.row(0) if isinstance(layers, Layer) else space

    @property
    def depth(self) -> int:
        """Cluster levels that the arrays hold."""
        return self.options.most_levels

    @property
    def batched(self) -> bool:
        """Whether it holds several layers side by side."""
        return self.extent.ndim > 1

    def row(self, index: Any) -> MappingSpace:
        """The space of one layer of several (or of some, for a list of numbers)."""
        return jax.tree.map(lambda a: a[index], self)

    @functools.partial(jax.jit, static_argnames="count")
    def sample(self, key: Array, count: int) -> Genes:
        """``count`` mappings ``[count]`` (``[l, count]`` of several layers), each gene drawn uniformly."""
        if self.batched:
            keys = jax.random.split(key, self.extent.shape[0])
            return jax.vmap(lambda space, k: space.sample(k, count))(self, keys)
        depth = self.depth
        k_levels, k_spatial, k_cluster, k_order, k_tile = jax.random.split(key, 5)
        least = self.options.least_levels
        cluster = uniform(k_cluster, (count, depth - 1))
        spatial = pick(k_spatial, jnp.broadcast_to(self.spatial, (count, depth, slots.SLOTS)))
        order = uniform(k_order, (count, depth, slots.SLOTS))
        tile = uniform(k_tile, (count, depth, slots.SLOTS))
        return Genes(
            levels=whole_numbers(k_levels, (count,), least, depth + 1),
            spatial=spatial,
            cluster=self._clusters(cluster, drawn=True),
            order=jnp.argsort(order, axis=-1).astype(jnp.int32),
            tile=self._tiles(tile, spatial, drawn=True),
        )

    @jax.jit
    def repair(self, genes: Genes) -> Genes:
        """The nearest genes that are in the space: tiles within tiles, clusters that the PEs suffice for."""
        if self.batched:
            return jax.vmap(lambda space, own: space.repair(own))(self, genes)
        levels = jnp.clip(genes.levels, self.options.least_levels, self.depth).astype(jnp.int32)
        slot = jnp.clip(genes.spatial, 0, slots.SLOTS - 1)
        first = jnp.argmax(self.spatial).astype(jnp.int32)
        spatial = jnp.where(jnp.asarray(self.spatial)[slot], slot, first).astype(jnp.int32)
        keys = genes.order * slots.SLOTS + jnp.arange(slots.SLOTS, dtype=jnp.int32)
        return Genes(
            levels=levels,
            spatial=spatial,
            cluster=self._clusters(genes.cluster, drawn=False),
            order=(keys[..., None, :] < keys[..., :, None]).sum(-1, dtype=jnp.int32),
            tile=self._tiles(genes.tile, spatial, drawn=False),
        )

    def tile_choices(self, above: Array) -> Array:
        """How many tiles fit into one of ``above [..., 8]``, int32 alike."""
        return jnp.where(self.even, self._dividing(above).sum(-1, dtype=jnp.int32), above)

    def tile_at(self, above: Array, number: Array) -> Array:
        """The tile of that number (from 0, ascending) among those that fit into ``above [..., 8]``."""
        fits = self._dividing(above)
        place = jnp.cumsum(fits, -1, dtype=jnp.int32) - 1
        found = fits & (place == number[..., None])
        return jnp.where(self.even, jnp.where(found, self.divisors, 0).sum(-1, dtype=jnp.int32), number + 1)

    def within(self, tile: Array, above: Array) -> Array:
        """The largest tile up to ``tile`` that fits into ``above``; both ``[..., 8]``."""
        tile = jnp.clip(tile, 1, above)
        fits = self._dividing(above) & (self.divisors <= tile[..., None])
        return jnp.where(self.even, jnp.where(fits, self.divisors, 1).max(-1), tile).astype(jnp.int32)

    def _dividing(self, above: Array) -> Array:
        """Which divisors divide ``above [..., 8]``, each once: bool ``[..., 8, q]``."""
        new = jnp.concatenate([jnp.ones_like(self.divisors[:, :1], bool), jnp.diff(self.divisors) > 0], 1)
        return new & (above[..., None] % self.divisors == 0)

    def _tiles(self, tile: Array, spatial: Array, drawn: bool) -> Array:
        """Tiles ``[n, L, 8]``, each within the one above: from numbers in [0, 1) or from tiles."""
        found = []
        above = jnp.broadcast_to(jnp.asarray(self.largest), (*tile.shape[:-2], slots.SLOTS))
        for level in range(self.depth):
            own = tile[..., level, :]
            if drawn:
                own = self.tile_at(above, pick_size(own, self.tile_choices(above)))
            else:
                own = self.within(own, above)
            spread = spatial[..., level, None] == jnp.arange(slots.SLOTS, dtype=jnp.int32)
            above = jnp.where(self.whole & ~spread, above, own)
            found.append(above)
        return jnp.stack(found, -2).astype(jnp.int32)

    def _clusters(self, cluster: Array, drawn: bool) -> Array:
        """Cluster sizes ``[n, L - 1]`` that multiply to at most the PEs: from [0, 1) or from sizes."""
        left = jnp.broadcast_to(jnp.asarray(self.num_pes), cluster.shape[:-1])
        found = []
        for level in range(self.depth - 1):
            fitting = at_most(self.cluster_sizes, left)
            if drawn:
                number = pick_size(cluster[..., level], fitting)
            else:
                number = jnp.minimum(fitting, at_most(self.cluster_sizes, cluster[..., level])) - 1
            size = jnp.asarray(self.cluster_sizes)[jnp.maximum(number, 0)]
            left = left // size
            found.append(size)
        if not found:
            return jnp.zeros(cluster.shape, jnp.int32)
        return jnp.stack(found, -1).astype(jnp.int32)

    @jax.jit
    def table(self, genes: Genes) -> MappingTable:
        """The directives of repaired genes, one mapping a row: ``[n]``, of several layers ``[l * n]``."""
        if self.batched:
            table = jax.vmap(directives.table)(self, genes)
            return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), table)
        return directives.table(self, genes.flat())

    def batch(
        self, genes: Genes, hardware: HardwareTable, variants: int = 4, accelerator: Array | None = None
    ) -> Batch:
        """The mappings on an accelerator (on row ``accelerator[i]``, else the first), as a :class:`Batch`.

        Row ``i`` is mapping ``i`` of ``genes`` flattened. ``variants`` as for :func:`jaxmaestro.encode`.
        """
        mappings = self.table(genes)
        rows = mappings.levels.shape[0]
        layers = self.layers if self.batched else jax.tree.map(lambda a: jnp.asarray(a)[None], self.layers)
        count = layers.sizes.shape[0]
        index = jnp.arange(rows, dtype=jnp.int32)
        zeros = jnp.zeros(rows, jnp.int32)
        return Batch(
            layers=layers,
            mappings=mappings,
            hardware=hardware,
            layer=index // (rows // count),
            mapping=index,
            accelerator=zeros if accelerator is None else accelerator,
            levels=self.depth,
            extras=False,
            variants=(variants,) * (self.depth - 1),
        )

    def dataflow(self, genes: Genes, index: Any = ()) -> Dataflow:
        """One mapping as directives in words; ``index`` into the leading axes.

        With several layers the first index is the layer.
        """
        if self.batched:
            layer, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
            return self.row(layer).dataflow(genes[layer], rest)
        return directives.dataflow(self, genes[index])

    @property
    def size(self) -> int:
        """How many mappings there are (of one layer), orders of loops that never turn counted once."""
        return enumeration.size(self)

    def all(self, limit: int = enumeration.LIMIT) -> Genes:
        """Every mapping (of one layer), NumPy arrays ``[size]``. Raises DescriptionError beyond ``limit``."""
        return enumeration.everything(self, limit)


def _dimensions(table: LayerTable, options: MappingOptions) -> tuple[np.ndarray, ...]:
    """Fields of a space ``[l, 8]``, from ``extent`` to ``spatial`` without ``divisors``."""
    swept = table.coupled[:, slots.INPUT] | table.coupled[:, slots.FILTER]
    named = table.present & swept
    extent = np.where(named, table.sizes, 1)
    stride = np.ones_like(extent)
    slides = table.sliding
    whole, largest = np.zeros_like(named), extent.copy()
    even = np.full_like(named, options.tiles == "divisors")
    for axis, window in slots.SLIDES_OVER.items():
        stride[:, axis] = np.where(slides, table.strides[:, axis], 1)
        room = table.sizes[:, axis] - table.sizes[:, window]
        outputs = room // stride[:, axis] + 1
        # Whole strides, and a last row if there is one, count right where the filter has size 1.
        strided = slides & (stride[:, axis] > 1)
        steps, left = np.divmod(table.sizes[:, axis], stride[:, axis])
        most = np.where((table.sizes[:, window] == 1) & (left <= 1), np.maximum(steps, 1), 1)
        extent[:, axis] = np.where(slides, outputs, extent[:, axis])
        largest[:, axis] = np.where(strided, most, extent[:, axis])
        even[:, axis] |= strided
        whole[:, window] = slides
    gemm = ~table.sliding
    allowed = np.zeros_like(named)
    for kind, names in ((False, slots.CONVOLUTION_SLOT), (True, slots.GEMM_SLOT)):
        for name in options.spatial:
            if name in names:
                allowed[gemm == kind, names[name]] = True
    allowed &= named
    # What has one tile only cannot be spread, but something must be.
    useful = allowed & (extent > 1)
    spatial = np.where(useful.any(1, keepdims=True), useful, allowed)
    if not spatial.any(1).all():
        raise DescriptionError(
            f"the mapping space is empty: a layer has none of the dimensions {', '.join(options.spatial)}",
            fix="allow more spatial dimensions",
        )
    sizes = (a.astype(np.int32) for a in (extent, largest, stride))
    extent, largest, stride = sizes
    return extent, largest, even, named, whole, stride, spatial
