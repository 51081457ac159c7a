"""The cost model as array programs, top to bottom in :mod:`jaxmaestro.equations.cost`."""
