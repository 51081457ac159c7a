"""How many operations an element takes in functions that frameworks have as one operator.

The JAX tracer sees a softmax as five primitives. PyTorch and ONNX have one operator for it, so the steps
are written down here: arithmetic or comparing steps on one element of the function's largest operand,
as the function is usually computed. What is not in the table takes one.
"""

from __future__ import annotations

_STEPS: dict[int, str] = {
    0: "dropout identity",
    2: """addcdiv addcmul bitshift clamp clip dequantizelinear dropouttrain erfc fma hardshrink hardtanh
        isclose leakyrelu lerp logaddexp logsigmoid mseloss prelu quantizelinear relu6 rrelu shrink
        softplus softshrink softsign thresholdedrelu xlogy""",
    3: """batchnorm batchnormalization biassoftmax celu elu glu hardsigmoid l1loss selu std stdmean
        var varmean""",
    4: """dynamicquantizelinear fakequantize logsoftmaxbackwarddata logsumexp lpnormalization
        meanvariancenormalization mish rmsnorm rmsnormalization sigmoid simplifiedlayernormalization
        softmaxbackwarddata""",
    5: """biasgelu binarycrossentropy crossentropyloss gelu hardmax hardswish huberloss logsoftmax
        rotaryembedding safesoftmax silu smoothl1loss softmax softmaxcrossentropyloss swish""",
    6: """batchnormtrain groupnorm groupnormalization instancenorm instancenormalization layernorm
        layernormalization lrn quickgelu skiplayernormalization skipsimplifiedlayernormalization""",
    7: "fastgelu resizelinear upsamplebilinear2d upsamplelinear1d",
    10: "fusedrmsnormbackward nativebatchnormbackward nativegroupnormbackward nativelayernormbackward",
    12: "affinegrid gelubackward gridsample gridsampler2d",
    15: "upsampletrilinear3d",
    31: "resizecubic upsamplebicubic2d",
}

_BY_NAME = {name: steps for steps, names in _STEPS.items() for name in names.split()}


def steps(name: str) -> int:
    """Operations an element of the function with that name, written with or without capitals and ``_``."""
    return _BY_NAME.get(name.replace("_", "").lower(), 1)
