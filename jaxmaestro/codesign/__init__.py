"""Co-design of architectures and accelerators: campaigns, monotonicity, methods with certificates."""

from jaxmaestro.codesign.adaptive import Certificate, adaptive, certify, cover
from jaxmaestro.codesign.campaign import (
    Campaign,
    Plan,
    Points,
    TupleCosts,
    evaluate_tuples,
    join,
    plan,
    run_campaign,
)
from jaxmaestro.codesign.constraints import Constraints, on_each_point, on_product
from jaxmaestro.codesign.methods import (
    Figures,
    Outcome,
    Score,
    fully_coupled,
    fully_decoupled,
    proxy_set,
    score,
    semi_decoupled,
)
from jaxmaestro.codesign.monotonicity import agreements, discordant, most_displaced, spearman
from jaxmaestro.codesign.shares import KINDS, growth, latency_shares

__all__ = [
    "KINDS",
    "Campaign",
    "Certificate",
    "Constraints",
    "Figures",
    "Outcome",
    "Plan",
    "Points",
    "Score",
    "TupleCosts",
    "adaptive",
    "agreements",
    "certify",
    "cover",
    "discordant",
    "evaluate_tuples",
    "fully_coupled",
    "fully_decoupled",
    "growth",
    "join",
    "latency_shares",
    "most_displaced",
    "on_each_point",
    "on_product",
    "plan",
    "proxy_set",
    "run_campaign",
    "score",
    "semi_decoupled",
    "spearman",
]
