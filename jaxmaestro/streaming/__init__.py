"""Products too large to be held: evaluated in chunks that are written or reduced, then dropped."""

from jaxmaestro.streaming.product import evaluate_product
from jaxmaestro.streaming.reducer import Fold
from jaxmaestro.streaming.result import ProductResult

__all__ = ["Fold", "ProductResult", "evaluate_product"]
