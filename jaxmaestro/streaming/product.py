"""Every layer under every dataflow on every accelerator, however many tuples that is."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import jax

from jaxmaestro.description import Dataflow, DescriptionError, Hardware, Layer
from jaxmaestro.description.fields import whole
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.cost import Precision, check_precision
from jaxmaestro.equations.costs import Costs
from jaxmaestro.evaluation import evaluate_batch
from jaxmaestro.streaming.devices import pick_devices
from jaxmaestro.streaming.meter import Report, check_progress, metered
from jaxmaestro.streaming.parts import INDICES, STATES, Parts, check_columns, figure_columns, make_manifest
from jaxmaestro.streaming.plan import Plan
from jaxmaestro.streaming.reducer import Checkpoint, Fold, Reducer
from jaxmaestro.streaming.result import ProductResult
from jaxmaestro.streaming.run import Run


def evaluate_product(
    layers: Sequence[Layer],
    dataflows: Sequence[Dataflow],
    hardware: Sequence[Hardware],
    folder: str | os.PathLike[str] | None = None,
    *,
    precision: Precision = "exact",
    columns: Sequence[str] | None = None,
    reductions: Sequence[Fold] = (),
    chunk: int = 262_144,
    progress: bool | Report | None = None,
    resume: bool = True,
    devices: int | Sequence[jax.Device] | None = None,
) -> ProductResult:
    """Costs of every layer under every dataflow on every accelerator, in chunks that are not kept.

    Tuple ``(l * len(dataflows) + d) * len(hardware) + h``, as :func:`jaxmaestro.encode_product` numbers
    them; each is evaluated by itself, as there. Memory is bounded by ``chunk`` (some three chunks of
    about half a kilobyte a tuple), whatever the product. Entries of a list that are equal but for their
    names are evaluated once; the results are of the whole product all the same.

    A run that was stopped, at any moment, is continued by the same call: chunks that are there, whole
    and of the same product are kept as they are.

    Args:
        layers: ``L`` layers.
        dataflows: ``D`` dataflows.
        hardware: ``H`` accelerators.
        folder: where figures are stored, one Parquet part a chunk (columns ``layer``, ``dataflow``,
            ``hardware``: int32 positions in the lists; and the figures as :func:`jaxmaestro.to_table`
            names them), with ``manifest.json``. None: nothing is stored, which asks for ``reductions``.
        precision: ``"exact"`` or ``"float32"``.
        columns: figures to store; all if not given.
        reductions: what is computed over all tuples meanwhile: :class:`jaxmaestro.TopK` and the like, or
            any :class:`~jaxmaestro.streaming.Fold`. With a folder their states are saved beside the
            parts, and continued too.
        chunk: tuples that are evaluated and stored at a time.
        progress: True shows a bar with rate and time left on standard error; a function is called with
            tuples done, tuples in all and seconds whenever a chunk is done.
        resume: False overwrites what the folder holds of any product.
        devices: how many devices, or which, share each chunk; None leaves it to
            :func:`jaxmaestro.evaluate_batch`.

    Raises:
        DescriptionError: for bad entries as :func:`jaxmaestro.encode_product`, an unknown column, a
            chunk below 1, devices that are not there, nothing to keep, a folder that cannot be written
            or that holds another product (the message says what to do).
        ValueError: for an empty list or an unknown precision.
        OSError: when writing fails later on.
    """
    size = whole(chunk, "chunk", least=1)
    check_progress(progress)
    check_precision(precision)
    reducer = Reducer(reductions)
    if folder is None and (not reducer.reductions or columns is not None):
        what = "columns are stored in a folder" if columns is not None else "nothing would be kept"
        raise DescriptionError(f"{what}, and there is none", fix="give a folder, or reductions")
    stored = columns if columns is None else check_columns(columns, [*INDICES, *figure_columns()])
    plan = Plan.of(layers, dataflows, hardware, size)
    evaluate = functools.partial(_evaluate, precision, pick_devices(devices))
    parts = checkpoint = None
    if folder is not None:
        names = {
            "layers": [layer.name for layer in layers],
            "dataflows": [dataflow.name for dataflow in dataflows],
            "hardware": [point.name for point in hardware],
        }
        figures = stored and [name for name in stored if name not in INDICES]
        manifest = make_manifest(plan, names, precision, figures)
        parts = Parts(Path(folder), manifest, resume=resume)
        if reducer.reductions:
            checkpoint = Checkpoint(parts.folder / STATES, parts.mark, reducer)
            reducer.restore(checkpoint.load())
    with metered(plan.tuples, progress) as meter:
        Run(plan, evaluate, reducer, parts, checkpoint, meter).go()
        seconds, rate = meter.seconds, meter.rate
    return ProductResult(
        tuples=plan.tuples,
        evaluated=plan.distinct,
        seconds=seconds,
        rate=rate,
        folder=None if parts is None else parts.folder,
        reductions=reducer.results(),
    )


def _evaluate(precision: Precision, devices: Sequence[jax.Device], batch: Batch) -> Costs:
    return evaluate_batch(batch, precision, devices=devices)
