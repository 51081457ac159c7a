"""Models named by a text, for commands and configurations: ``torch:torchvision.models.vgg16@1x3x224x224``."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from jaxmaestro.description import Dataflow, DescriptionError, Layer
from jaxmaestro.formats import write_mapping, write_model
from jaxmaestro.frontends.describe import Style
from jaxmaestro.frontends.extras import needed, one_line
from jaxmaestro.frontends.workload import Workload

FRAMEWORKS = ("torch", "keras", "jax", "onnx", "maestro", "zoo")
"""What may stand before the first colon of a spec."""

_FIX = (
    "write FRAMEWORK:MODULE.NAME[:ARGUMENT...][@SHAPE[+SHAPE...]], such as "
    "torch:timm.create_model:resnet50@1x3x224x224, or zoo:NAME[:OPTION=VALUE...], or the path of an "
    ".onnx file or of MAESTRO's model file (.m)"
)
_ZOO_FIX = "give its options, such as zoo:resnet18:image=160:batch=8"
_FILES = {".onnx": "onnx", ".m": "maestro"}
_SHAPE = re.compile(r"(?:(\w+):)?(\d+(?:x\d+)*)")


@dataclasses.dataclass(frozen=True)
class Spec:
    """A model by name: of its ``framework``, with arguments to make it with and shapes to trace it on."""

    framework: str
    target: str
    arguments: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()
    shapes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The first argument if it is a text (``create_model:resnet50``), else the target's last part."""
        first = self.arguments[0] if self.arguments else None
        return first if isinstance(first, str) else self.target.rpartition(".")[2]


def is_spec(text: str) -> bool:
    """Whether a text names a model of another framework, and no group of a configuration."""
    head, _ = _split(text)
    return head.endswith(tuple(_FILES)) or (head.partition(":")[0] in FRAMEWORKS and ":" in head)


def parse_spec(text: str) -> Spec:
    """The parts of a spec.

    ``FRAMEWORK:MODULE.NAME``, then arguments as ``:VALUE`` or ``:KEY=VALUE`` (or as a call,
    ``MODULE.NAME(VALUE, KEY=VALUE)``), then ``@SHAPE``, several joined by ``+``: ``1x3x224x224``, or
    ``int64:1x128`` with a type. Values are Python's literals; other words are texts. Files of ONNX
    (``.onnx``) and MAESTRO (``.m``) are given by their path, with or without ``onnx:`` or ``maestro:`` (which
    other endings need). ``zoo:NAME`` is a network of :mod:`jaxmaestro.zoo`, with its
    options as ``:KEY=VALUE``.

    Raises:
        DescriptionError: for what cannot be read.
    """
    head, tail = _split(text.strip())
    shapes = tuple(_shape(part, text) for part in tail.split("+")) if tail else ()
    framework, colon, target = head.partition(":")
    if framework == "zoo" and colon:
        return _zoo(target, shapes, text)
    if not colon or framework not in FRAMEWORKS:
        framework, target = _FILES.get(Path(head).suffix, ""), head
    if not framework or not target:
        raise DescriptionError(f"'{text}' names no model", fix=_FIX)
    if framework in _FILES.values():
        return Spec(framework, target, shapes=shapes)
    target, arguments, keywords = _parts(target, text)
    if not re.fullmatch(r"\w+(\.\w+)+", target):
        raise DescriptionError(f"'{target}' in '{text}' is no MODULE.NAME", fix=_FIX)
    return Spec(framework, target, arguments, keywords, shapes)


def _split(text: str) -> tuple[str, str]:
    """A spec's model and shapes; the path of a file may have an ``@`` of its own."""
    if text.endswith(tuple(_FILES)):
        return text, ""
    head, _, tail = text.rpartition("@")
    if head.endswith(tuple(_FILES)):
        return head, tail
    head, _, tail = text.partition("@")
    return head, tail


def workload_of(spec: str, *shapes: Any, **options: Any) -> Workload:
    """The workload of a model that is named by a text.

    PyTorch models are made on the meta device if that is possible, so without weights. Trained weights
    that a model would download by default are not (``weights=None``). Keras is set to its JAX backend if
    it has not been imported yet.

    Args:
        spec: see :func:`parse_spec`.
        shapes: of the inputs, if the spec has none.
        options: of ``from_torch``, ``from_keras``, ``from_jax``, ``from_onnx`` or ``from_maestro``; the
            default of ``padding`` is theirs for the zoo too. For the zoo also the network's own, before
            those of the spec.

    Raises:
        DescriptionError: for a spec that cannot be read, a framework or module that is missing, a model
            that cannot be made, and what the frontend refuses.
    """
    parsed = parse_spec(spec)
    inputs = tuple(shapes) or parsed.shapes
    if parsed.framework == "zoo":
        from jaxmaestro import zoo

        if shapes:
            raise DescriptionError(f"'{spec}' takes no shapes", fix=_ZOO_FIX)
        return zoo.workload(parsed.target, **{"padding": Style().padding, **dict(parsed.keywords), **options})
    if parsed.framework in _FILES.values() and options.pop("training", False):
        raise DescriptionError(f"{parsed.target} has no backward pass", fix="train what it was made from")
    if parsed.framework == "maestro":
        from jaxmaestro.frontends.maestro_models import from_maestro

        if inputs:
            raise DescriptionError(f"'{spec}' takes no shapes", fix="the file has the sizes of its layers")
        return from_maestro(parsed.target, **_known(options, from_maestro))
    if parsed.framework == "onnx":
        from jaxmaestro.frontends.onnx_models import from_onnx

        return from_onnx(parsed.target, *inputs, **_known(options, from_onnx))
    if not inputs and parsed.framework != "keras":
        raise DescriptionError(f"'{spec}' has no shapes", fix=f"add them, such as {spec}@1x3x224x224")
    options = {"name": parsed.name, **options}
    if parsed.framework == "torch":
        from jaxmaestro.frontends.torch_tracing import from_torch

        return from_torch(_torch_model(parsed), *inputs, **_known(options, from_torch))
    if parsed.framework == "keras":
        from jaxmaestro.frontends.keras_models import from_keras

        if "keras" not in sys.modules:
            os.environ.setdefault("KERAS_BACKEND", "jax")
        needed("keras", "keras")
        return from_keras(_made(parsed, _found(parsed)), *inputs, **_known(options, from_keras))
    from jaxmaestro.frontends.jax_tracing import from_jax

    found = _found(parsed)
    makes = isinstance(found, type) or parsed.arguments or parsed.keywords
    return from_jax(_made(parsed, found) if makes else found, *inputs, **_known(options, from_jax))


def write_described(
    workload: Workload, path: str | Path, dataflow: Dataflow | Callable[[Layer], Dataflow] | None = None
) -> None:
    """Write a workload as MAESTRO's model file, or with a dataflow as its mapping file.

    Every layer is written once, however often it runs: neither format has counts.

    Raises:
        DescriptionError: if a layer cannot be written, or the file cannot be.
    """
    if not workload.entries:
        raise DescriptionError(f"{workload.name} has no layers to write", fix="see workload.report()")
    if dataflow is None:
        write_model(workload.network(), path)
    else:
        write_mapping(workload.network(dataflow), path)


def _torch_model(spec: Spec) -> Any:
    torch = needed("torch", "torch")
    found = _found(spec)
    if isinstance(found, torch.nn.Module):
        return found
    try:
        with torch.device("meta"):
            return found(*spec.arguments, **_untrained(spec, found))
    except Exception:
        # Some models compute their own sizes with tensors, which need values; a true error comes again.
        return _made(spec, found)


def _made(spec: Spec, found: Any) -> Any:
    """What the target gives when it is called; what is a model already stays as it is."""
    if not callable(found) or (not isinstance(found, type) and hasattr(found, "stateless_call")):
        return found
    try:
        return found(*spec.arguments, **_untrained(spec, found))
    except Exception as error:
        raise DescriptionError(
            f"{spec.target} cannot be made: {one_line(error)}",
            fix="give its arguments as :VALUE or :KEY=VALUE after its name",
        ) from error


def _untrained(spec: Spec, found: Callable[..., Any]) -> dict[str, Any]:
    """The spec's keywords, and None for weights that would be downloaded if nothing is said of them."""
    keywords = dict(spec.keywords)
    try:
        signature = inspect.signature(found)
        given = signature.bind_partial(*spec.arguments, **keywords).arguments
    except (TypeError, ValueError):  # no signature, or not these arguments: the call says what is wrong
        return keywords
    for name in ("weights", "weights_backbone"):
        parameter = signature.parameters.get(name)
        if parameter is not None and name not in given and isinstance(parameter.default, str | enum.Enum):
            keywords[name] = None
    return keywords


def _found(spec: Spec) -> Any:
    """What stands under the dotted name: the longest module that there is, and what is in it."""
    words = spec.target.split(".")
    # Modules of the user stand where the command is run.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for length in range(len(words) - 1, 0, -1):
        module = ".".join(words[:length])
        try:
            value: Any = import_module(module)
        except ImportError as error:
            missing = getattr(error, "name", None) or ""
            if length > 1 and (module == missing or module.startswith(missing + ".")):
                continue
            what = f"there is no module {missing}" if missing == module else one_line(error)
            raise DescriptionError(
                f"{spec.target}: {what}", fix="check the name, or install the package that it is in"
            ) from error
        for word in words[length:]:
            if not hasattr(value, word):
                raise DescriptionError(f"{module} has no {word}", fix=_near(word, dir(value)))
            value = getattr(value, word)
        return value
    raise AssertionError("a target has two words or more")


def _known(options: dict[str, Any], frontend: Callable[..., Workload]) -> dict[str, Any]:
    """The options; raises DescriptionError for one that a frontend does not have."""
    parameters = inspect.signature(frontend).parameters.values()
    names = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    for option in options:
        if option not in names:
            fix = f"its options are {', '.join(names)}"
            raise DescriptionError(f"{frontend.__name__} has no option {option}", fix=fix)
    return options


def _near(word: str, names: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, names, 3, 0.5)
    return f"did you mean {' or '.join(close)}?" if close else "give the name of a model in it"


def _words(target: str) -> tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]]:
    name, *words = target.split(":")
    arguments, keywords = [], []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier():
            keywords.append((key, _literal(value)))
        else:
            arguments.append(_literal(word))
    return name, tuple(arguments), tuple(keywords)


def _zoo(target: str, shapes: tuple[str, ...], text: str) -> Spec:
    name, arguments, keywords = _parts(target, text)
    if not re.fullmatch(r"\w+", name) or arguments or shapes:
        raise DescriptionError(f"'{text}' is no network of the zoo with options", fix=_ZOO_FIX)
    return Spec("zoo", name, keywords=keywords)


def _parts(target: str, text: str) -> tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]]:
    """Dotted name, arguments and keywords, written as a call or after colons."""
    return _call(target, text) if re.match(r"[\w.]+\(", target) else _words(target)


def _call(target: str, text: str) -> tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]]:
    try:
        call = ast.parse(target, mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError(target)
        arguments = tuple(_node(node) for node in call.args)
        keywords = tuple((word.arg or "", _node(word.value)) for word in call.keywords)
    except (SyntaxError, ValueError) as error:
        raise DescriptionError(f"cannot read the call in '{text}'", fix=_FIX) from error
    return ast.unparse(call.func), arguments, keywords


def _node(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _literal(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (SyntaxError, ValueError):
        return word


def _shape(part: str, text: str) -> str:
    match = _SHAPE.fullmatch(part.strip())
    if match is None:
        raise DescriptionError(f"'{part}' in '{text}' is no shape", fix="write 1x3x224x224 or int64:1x128")
    return f"{match[1] or 'float32'}[{match[2].replace('x', ',')}]"
