"""Box after box: evaluated, reduced, handed to the writer, dropped."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable

from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.costs import Costs
from jaxmaestro.streaming.meter import Meter
from jaxmaestro.streaming.parts import Parts
from jaxmaestro.streaming.plan import Box, Chunk, Plan
from jaxmaestro.streaming.reducer import Checkpoint, Reducer, Snapshot
from jaxmaestro.streaming.writer import Direct, Writer


@dataclasses.dataclass(frozen=True)
class Run:
    """One run over a product: what is missing from the parts and the reductions is evaluated."""

    plan: Plan
    evaluate: Callable[[Batch], Costs]
    reducer: Reducer
    parts: Parts | None
    checkpoint: Checkpoint | None
    meter: Meter

    def go(self) -> None:
        """All of it. An exception, such as Ctrl-C, leaves whole parts and states that fit them."""
        try:
            with Direct() if self.parts is None else Writer() as writer:
                for box, chunks in self.plan.work():
                    self._fill(box, chunks, writer)
        except BaseException:
            with contextlib.suppress(OSError):  # what happened first is what is told
                self._flush()
            raise
        self._flush()

    def _fill(self, box: Box, chunks: list[Chunk], writer: Writer) -> None:
        """The chunks of one box. A function, so that nothing of them is held during the next one."""
        todo = []
        for chunk in chunks:
            write, add = self.parts is not None and self.parts.lacks(chunk), self.reducer.lacks(chunk)
            if write or add:
                todo.append((chunk, write, add))
            else:
                self.meter.advance(len(chunk), fresh=False)
        if not todo:
            return
        figures = self.evaluate(self.plan.batch(box))
        for chunk, write, add in todo:
            costs = chunk.pick(figures)
            if add:
                self.reducer.add(chunk, costs)
            states = self.reducer.snapshot() if add and self.checkpoint is not None else None
            writer.submit(
                functools.partial(self._keep, chunk, costs if write else None, states),
                functools.partial(self.meter.advance, len(chunk), fresh=True),
            )

    def _keep(self, chunk: Chunk, costs: Costs | None, states: Snapshot | None) -> None:
        """In the writer's thread: the part first, so that no states are ahead of the parts."""
        if costs is not None and self.parts is not None:
            self.parts.write(chunk, costs)
        if states is not None and self.checkpoint is not None:
            self.checkpoint.offer(states)

    def _flush(self) -> None:
        """When the writer has ended: the last states, if they were not due before."""
        if self.checkpoint is not None:
            self.checkpoint.flush()
