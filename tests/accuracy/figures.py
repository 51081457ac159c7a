"""Figures of public tables and papers, beside architectures that the spaces' samplers draw."""

from __future__ import annotations

import numpy as np

from jaxmaestro.accuracy import genotypes_of
from jaxmaestro.spaces import Configurations, Genotypes

HELD_OUT: dict[str, dict[int, float]] = {
    "alphanet_fork": {
        4: 69.9655, 15: 69.6927, 17: 71.3453, 49: 67.3576, 50: 70.7879, 58: 69.6356, 64: 71.0402,
        80: 70.6468, 81: 71.601, 82: 69.6315, 85: 69.7566, 126: 67.5237, 131: 70.1995, 133: 71.6058,
        135: 71.0564, 143: 69.785, 165: 67.4139, 166: 69.6293, 178: 67.5315, 180: 69.5949, 212: 71.524,
        222: 67.4304, 227: 70.7116, 228: 70.1052, 229: 69.726, 230: 69.6861, 266: 67.2596, 270: 70.0308,
        280: 70.7068, 287: 67.3998, 288: 70.5516, 294: 69.6472, 296: 67.8374,
    },
    "nasbench301": {
        4: 90.8638, 15: 93.4857, 17: 93.2004, 49: 93.9673, 50: 93.3805, 58: 93.074, 64: 92.8447,
        80: 93.4387, 81: 92.8118, 82: 93.579, 85: 93.7523, 126: 93.6412, 131: 93.4909, 133: 93.7572,
        135: 94.0396, 143: 92.7446, 165: 93.7534, 166: 91.5493, 178: 93.6285, 180: 92.0644, 212: 92.1039,
        222: 92.1793, 227: 92.3725, 228: 93.2013, 229: 92.6802, 230: 93.4495, 266: 93.7329, 270: 93.2305,
        280: 93.0736, 287: 93.5034, 288: 92.6854, 294: 93.4096, 296: 94.2515,
    },
}  # fmt: skip
"""Accuracies of the first 300 rows of the seed's samples that were not learned from, by row."""

_LAST, _WIDE = 1984, (16, 16, 24, 32, 64, 112)

ATTENTIVENAS = (
    # resolution, widths, kernels, expansions, depths, top-1 accuracy: A0 to A6 (Wang et al., CVPR 2021)
    (192, (*_WIDE, 192, 216, 1792), "3333333", "1444466", "1333331", 77.3),
    (224, (*_WIDE, 192, 216, _LAST), "3335353", "1444466", "1333331", 78.4),
    (224, (*_WIDE, 200, 224, _LAST), "3333353", "1454466", "1333341", 78.8),
    (224, (*_WIDE, 208, 224, _LAST), "3335333", "1444466", "2334351", 79.1),
    (256, (*_WIDE, 192, 216, _LAST), "3335353", "1445466", "1334351", 79.8),
    (256, (16, 16, 24, 32, 72, 112, 192, 216, 1792), "3335333", "1454466", "1333461", 80.1),
    (288, (*_WIDE, 216, 224, _LAST), "3333353", "1465466", "1334461", 80.7),
)

_CODES = {"m": 0, "a": 1, "k": 2, "s": 3, "S": 4, "d": 5, "D": 6}

DARTS_FAMILY = {
    # normal and reduction cell, each edge its operation and input; CIFAR-10 test error in percent
    # k: skip, m/a: max/avg pool, s/S: separable 3x3/5x5, d/D: dilated 3x3/5x5
    "DARTS, first order": ("s1 s0 k0 s1 k0 s1 s0 k2", "m0 m1 k2 m0 m0 k2 k2 a0", 3.00),
    "SNAS, mild": ("s0 s1 k0 d1 k0 k1 k0 s1", "m0 m1 m1 k2 m1 k2 m0 D2", 2.98),
    "SNAS, moderate": ("D0 k1 s0 k1 k0 k1 s0 D1", "m0 m1 S0 D1 S0 S1 S0 S1", 2.85),
    "DARTS, second order": ("s0 s1 s0 s1 s1 k0 k0 d2", "m0 m1 k2 m1 m0 k2 k2 m1", 2.76),
    "SDARTS-RS": ("s1 s0 S1 k0 s3 k1 s1 d2", "m0 s1 k2 m0 D3 m0 s2 S3", 2.67),
    "SDARTS-ADV": ("s0 s1 s1 k0 S0 d3 d4 k0", "m0 S1 k2 m0 k3 k2 k2 S4", 2.61),
    "PC-DARTS": ("s1 k0 s0 d1 S0 s1 a0 d1", "S1 m0 S1 S2 s0 s3 s1 s2", 2.57),
    "P-DARTS": ("k0 d1 k0 s1 s1 s3 s0 D4", "a0 S1 s0 D2 m0 d1 d1 D3", 2.50),
}


def attentivenas() -> tuple[Configurations, np.ndarray]:
    """The seven published networks and their ImageNet accuracies in percent."""
    rows = [(r, w, *(tuple(map(int, text)) for text in texts)) for r, w, *texts, _ in ATTENTIVENAS]
    fields = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    return Configurations(*fields), np.array([row[-1] for row in ATTENTIVENAS])


def darts_family() -> tuple[Genotypes, np.ndarray]:
    """Published genotypes and their CIFAR-10 test errors in percent."""
    cells = [
        [[(_CODES[edge[0]], int(edge[1])) for edge in cell.split()] for cell in (normal, reduction)]
        for normal, reduction, _ in DARTS_FAMILY.values()
    ]
    return genotypes_of(cells), np.array([error for *_, error in DARTS_FAMILY.values()])
