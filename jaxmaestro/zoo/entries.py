"""What the zoo has: titles, sources, published figures and options of each network. Light to import."""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from jaxmaestro.description import DescriptionError
from jaxmaestro.description.fields import LARGEST, whole

Option = int | str | bool
"""A value of an option. Its default says of which type it is."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """What an option can be: ``least``, ``least + step``, ... up to ``most``, or one of ``choices``."""

    least: int = 1
    most: int = LARGEST
    step: int = 1
    choices: tuple[str, ...] = ()

    def checked(self, value: object, default: Option, what: str) -> Option:
        """The value; raises DescriptionError, with ``what`` as the subject, if it is none of these."""
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise DescriptionError(f"{what} is {reprlib.repr(value)}", fix="choose one of True, False")
            return value
        if isinstance(default, str):
            if value not in self.choices:
                fix = f"choose one of {', '.join(self.choices)}"
                raise DescriptionError(f"{what} is {reprlib.repr(value)}", fix=fix)
            return str(value)
        number = whole(value, what, least=self.least)
        if number > self.most:
            raise DescriptionError(f"{what} is {number}", fix=f"it must be at most {self.most}")
        if (number - self.least) % self.step:
            below = number - (number - self.least) % self.step
            near = f"{below} or {below + self.step}"
            raise DescriptionError(f"{what} is {number}", fix=f"give one that fits, such as {near}")
        return number


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A network of the zoo.

    ``published_gmacs`` (10^9 multiply-accumulates, None if nobody states them) are those with
    ``published_options``, the defaults where those are empty. ``published_parameters`` are None where no
    source counts them. ``source`` is the paper, and what is counted if that is another definition.
    ``maker``: module and function in this package.
    """

    name: str
    title: str
    source: str
    published_gmacs: float | None
    published_parameters: int | None
    maker: str
    options: Mapping[str, Option]
    limits: Mapping[str, Limit]
    published_options: Mapping[str, Option] = dataclasses.field(default_factory=dict)

    def complete(self, **options: Any) -> dict[str, Option]:
        """All options, those that are not given with their defaults.

        Raises:
            DescriptionError: for an option that the network does not have, or a value it cannot have.
        """
        for option in options:
            if option not in self.options:
                names = ", ".join(self.options)
                fix = _near(option, self.options) or f"its options are {names}"
                raise DescriptionError(f"{self.name} has no option {option}", fix=fix)
        return {
            option: self.limits.get(option, Limit()).checked(
                options.get(option, default), default, f"{option} of {self.name}"
            )
            for option, default in self.options.items()
        }

    def build(self, **options: Any) -> tuple[Any, tuple[Any, ...]]:
        """The network, and the shapes to trace it on.

        A flax module, whose shapes are its inputs' (images ``[batch, rows, columns, channels]``), or a
        function whose first shapes are its parameters'.

        Raises:
            DescriptionError: as :meth:`complete` does.
        """
        full = self.complete(**options)
        module, _, function = self.maker.partition(":")
        make: Callable[..., tuple[Any, tuple[Any, ...]]]
        make = getattr(import_module(f"jaxmaestro.zoo.{module}"), function)
        return make(**full)


def entry(name: str) -> Entry:
    """The network of a name; raises DescriptionError if there is none."""
    if name not in ENTRIES:
        fix = _near(name, NAMES) or f"choose one of {', '.join(NAMES)}"
        raise DescriptionError(f"the zoo has no network {reprlib.repr(name)}", fix=fix)
    return ENTRIES[name]


def _near(word: object, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(names), 3, 0.5) if isinstance(word, str) else []
    return f"did you mean {' or '.join(close)}?" if close else ""


def _image(
    name: str,
    title: str,
    source: str,
    gmacs: float | None,
    parameters: int | None,
    maker: str,
    limit: Limit | None = None,
    image: int = 224,
    **more: Option,
) -> Entry:
    options = MappingProxyType({"batch": 1, "image": image, **more})
    return Entry(name, title, source, gmacs, parameters, maker, options, {"image": limit or Limit()})


def _tokens(
    name: str,
    title: str,
    source: str,
    gmacs: float | None,
    parameters: int | None,
    maker: str,
    options: dict[str, Option],
    limits: dict[str, Limit] | None = None,
    published: dict[str, Option] | None = None,
) -> Entry:
    every = MappingProxyType({"batch": 1, **options})
    return Entry(name, title, source, gmacs, parameters, maker, every, limits or {}, published or {})


_LLAMA = "Touvron et al. 2023, arXiv:2307.09288"
_SIZES = Limit(choices=("7b", "13b", "70b"))

# Figures of networks for images are torchvision's (multiply-accumulates with padding; batch norms'
# scales and shifts are parameters), whose definitions these are.
_ENTRIES = (
    _image(
        "alexnet",
        "AlexNet (one tower)",
        "Krizhevsky 2014, arXiv:1404.5997; torchvision alexnet",
        0.714,
        61_100_840,
        "plain:alexnet",
        Limit(63),
    ),
    _image(
        "vgg16",
        "VGG16 (configuration D)",
        "Simonyan and Zisserman 2015, arXiv:1409.1556; torchvision vgg16",
        15.470,
        138_357_544,
        "plain:vgg16",
        Limit(32),
    ),
    _image(
        "resnet18",
        "ResNet18",
        "He et al. 2016, arXiv:1512.03385; torchvision resnet18",
        1.814,
        11_689_512,
        "residual:resnet18",
    ),
    _image(
        "resnet50",
        "ResNet50 v1.5 (stride on the 3x3 layers)",
        "He et al. 2016, arXiv:1512.03385; torchvision resnet50",
        4.089,
        25_557_032,
        "residual:resnet50",
    ),
    _image(
        "resnext50",
        "ResNeXt50 32x4d",
        "Xie et al. 2017, arXiv:1611.05431; torchvision resnext50_32x4d",
        4.230,
        25_028_904,
        "residual:resnext50",
    ),
    _image(
        "mobilenetv2",
        "MobileNetV2 1.0",
        "Sandler et al. 2018, arXiv:1801.04381; torchvision mobilenet_v2",
        0.301,
        3_504_872,
        "mobile:mobilenetv2",
    ),
    _image(
        "mobilenetv3",
        "MobileNetV3 large 1.0",
        "Howard et al. 2019, arXiv:1905.02244; torchvision mobilenet_v3_large",
        0.217,
        5_483_032,
        "mobile:mobilenetv3",
    ),
    _image(
        "mnasnet",
        "MnasNet-B1 1.0 (without squeeze and excitation)",
        "Tan et al. 2019, arXiv:1807.11626; torchvision mnasnet1_0",
        0.314,
        4_383_312,
        "mobile:mnasnet",
    ),
    _image(
        "efficientnet_b0",
        "EfficientNet-B0",
        "Tan and Le 2019, arXiv:1905.11946; torchvision efficientnet_b0",
        0.386,
        5_288_548,
        "mobile:efficientnet_b0",
    ),
    _image(
        "squeezenet",
        "SqueezeNet 1.0",
        "Iandola et al. 2016, arXiv:1602.07360; torchvision squeezenet1_0",
        0.819,
        1_248_424,
        "plain:squeezenet",
        Limit(21),
    ),
    _image(
        "googlenet",
        "GoogLeNet with batch norms, 3x3 in place of 5x5",
        "Szegedy et al. 2015, arXiv:1409.4842; torchvision googlenet",
        1.498,
        6_624_904,
        "inception:googlenet",
        Limit(15),
        auxiliary=False,
    ),
    _image(
        "unet",
        "U-Net",
        "Ronneberger et al. 2015, arXiv:1505.04597 (figure 1)",
        None,
        None,
        "plain:unet",
        # Four halvings of even sizes, and something left at the end: 188 + 16 n.
        Limit(188, step=16),
        image=572,
    ),
    _image(
        "densenet121",
        "DenseNet121",
        "Huang et al. 2017, arXiv:1608.06993; torchvision densenet121",
        2.834,
        7_978_856,
        "dense:densenet121",
        Limit(29),
    ),
    _image(
        "vit_b16",
        "ViT-B/16",
        "Dosovitskiy et al. 2021, arXiv:2010.11929; torchvision vit_b_16",
        17.564,
        86_567_656,
        "transformers:vit_b16",
        Limit(16, step=16),
    ),
    _tokens(
        "bert_base",
        "BERT-base with pooler",
        "Devlin et al. 2019, arXiv:1810.04805; parameters of transformers' bert-base-uncased, "
        "22.5 GFLOPs for 128 tokens by Sun et al. 2020, arXiv:2004.02984",
        11.25,
        109_482_240,
        "transformers:bert_base",
        {"tokens": 128},
        {"tokens": Limit(most=512)},
    ),
    _tokens(
        "gpt2",
        "GPT-2 (124M)",
        "Radford et al. 2019; parameters of transformers' gpt2, "
        "291,648,307,200 FLOPs for 1,024 tokens by nanoGPT",
        145.8241536,
        124_439_808,
        "transformers:gpt2",
        {"tokens": 1024},
        {"tokens": Limit(most=1024)},
    ),
    _tokens(
        "llama_prefill",
        "Llama 2, a prompt at once",
        f"{_LLAMA}; 850 GMACs for 128 tokens by calflops",
        850.0,
        6_738_415_616,
        "llama:prefill",
        {"tokens": 2048, "size": "7b"},
        {"size": _SIZES},
        {"tokens": 128},
    ),
    _tokens(
        "llama_decode",
        "Llama 2, one token with a cache of keys and values",
        _LLAMA,
        None,
        6_738_415_616,
        "llama:decode",
        {"cache": 2048, "size": "7b"},
        {"size": _SIZES},
    ),
    _tokens(
        "gnmt",
        "GNMT, 8 and 8 layers",
        "Wu et al. 2016, arXiv:1609.08144; 214M operations a time step and 278M parameters "
        "by Shazeer et al. 2017, arXiv:1701.06538",
        0.214,
        278_000_000,
        "recurrent:gnmt",
        {"tokens": 32},
        published={"tokens": 1},
    ),
    _tokens(
        "ncf",
        "NeuMF for MovieLens-20M",
        "He et al. 2017, arXiv:1708.05031; sizes and parameters of MLPerf training v0.5",
        None,
        31_832_577,
        "recommenders:ncf",
        {},
    ),
    _tokens(
        "dlrm",
        "DLRM for Criteo Kaggle, or Terabyte as in MLPerf",
        "Naumov et al. 2019, arXiv:1906.00091 (540M parameters)",
        None,
        540_000_000,
        "recommenders:dlrm",
        {"size": "kaggle"},
        {"size": Limit(choices=("kaggle", "terabyte"))},
    ),
)

ENTRIES: Mapping[str, Entry] = MappingProxyType({each.name: each for each in _ENTRIES})
"""The networks by name."""

NAMES: tuple[str, ...] = tuple(ENTRIES)
"""Their names."""
