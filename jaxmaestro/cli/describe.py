"""``jaxmaestro-describe``: the layers of a model, as a report and as MAESTRO's model and mapping files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxmaestro.description import Dataflow, DescriptionError, Layer
from jaxmaestro.formats import format_mapping, parse_mapping
from jaxmaestro.formats.dataflows import read_dataflows
from jaxmaestro.frontends.specs import workload_of, write_described

REFUSED = 2
"""Exit status for what is refused; argparse's as well."""

_EXAMPLES = """\
examples:
  jaxmaestro-describe zoo:resnet50:image=160 --padding exact
  jaxmaestro-describe torch:timm.create_model:resnet50@1x3x224x224 --model-out resnet50.m
  jaxmaestro-describe net.onnx --mapping-out net.m --dataflow kc_p
"""


def execute(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxmaestro-describe",
        description="Layers of a model: what they are, how often they run, and what is no layer.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "spec",
        help="zoo:NAME[:OPTION=VALUE...], FRAMEWORK:MODULE.NAME[:ARGUMENT...][@SHAPE[+SHAPE...]] of torch, "
        "keras or jax, or the path of an .onnx file or of MAESTRO's model or mapping file (.m)",
    )
    parser.add_argument("--model-out", metavar="FILE", help="write the layers as a MAESTRO model file")
    parser.add_argument("--mapping-out", metavar="FILE", help="write them with --dataflow, as a mapping file")
    parser.add_argument(
        "--dataflow",
        metavar="NAME|FILE",
        help="kc_p, yr_p or x_p (as in jaxmaestro.spaces), or a file: of conf/dataflow, a dataflow, or a "
        "mapping, whose layers lend theirs to layers of their kind",
    )
    parser.add_argument(
        "--padding",
        default="same-as-maestro",
        help="same-as-maestro (inputs without padding, as the public files; the default) or exact",
    )
    parser.add_argument(
        "--products", default="auto", help="matrix products: auto (GEMM, single rows CONV), gemm or conv"
    )
    parser.add_argument("--training", action="store_true", help="with the backward pass")
    parser.add_argument("--unique", action="store_true", help="each shape once, under its first layer's name")
    options = parser.parse_args(arguments)
    try:
        _run(options)
        sys.stdout.flush()
    except DescriptionError as error:
        print("jaxmaestro-describe: error: " + " ".join(str(error).split("\n")), file=sys.stderr)
        return REFUSED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _run(options: argparse.Namespace) -> None:
    model, mapping, named = options.model_out, options.mapping_out, options.dataflow
    if (mapping is None) != (named is None):
        missing = "--dataflow NAME|FILE" if named is None else "--mapping-out FILE"
        raise DescriptionError("a mapping file needs a dataflow, and a dataflow a file", fix=f"add {missing}")
    if model is not None and model == mapping:
        raise DescriptionError(f"{model} is named for both files", fix="give two names")
    dataflow = None if named is None else dataflow_named(named)  # the model takes longer
    style = {"padding": options.padding, "products": options.products}
    workload = workload_of(options.spec, **style, training=options.training)
    if options.unique:
        workload = workload.unique()
    print(workload.report())
    if model is not None:
        write_described(workload, model)
        print(f"\nmodel file {model}")
    if mapping is not None and dataflow is not None:
        write_described(workload, mapping, dataflow)
        print(f"\nmapping file {mapping} with {named}")
        try:
            parse_mapping(format_mapping(workload.network(dataflow)), mapping)
        except DescriptionError as error:
            _warn(f"the reference has no figures for {error}")
    often = sum(entry.count > 1 for entry in workload.entries)
    if often and (model or mapping):
        _warn(f"{often} layers run more than once; files have no counts and hold each once")


def dataflow_named(text: str) -> Callable[[Layer], Dataflow]:
    """The dataflow of each layer: one of ``jaxmaestro.spaces`` by name, or a file's (:func:`read_dataflows`).

    Raises:
        DescriptionError: for neither; the function, for a layer that has none.
    """
    from jaxmaestro.spaces.dataflows import DATAFLOWS, seed_dataflow

    name = text.upper().replace("_", "-")
    if name not in DATAFLOWS:
        if not Path(text).exists():
            known = ", ".join(each.lower().replace("-", "_") for each in DATAFLOWS)
            raise DescriptionError(
                f"there is no dataflow {text}", fix=f"give {known}, or a file such as conf/dataflow/kc_p.yaml"
            )
        return read_dataflows(text)

    def seed(layer: Layer) -> Dataflow:
        if not layer.type.is_convolution:
            raise DescriptionError(
                f"{name} is for convolutions",
                layer=layer.name,
                fix="give a file with one for GEMM, such as conf/dataflow/kc_p.yaml, or, for models that are "
                "traced, --products conv",
            )
        return seed_dataflow(name, layer)

    return seed


def _warn(text: str) -> None:
    print("jaxmaestro-describe: warning: " + " ".join(text.split()), file=sys.stderr)


if __name__ == "__main__":
    from jaxmaestro.cli.main import describe

    sys.exit(describe())
