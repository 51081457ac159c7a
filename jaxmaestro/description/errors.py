"""The one error that bad input raises: it names the place and what to do."""

from __future__ import annotations


class DescriptionError(ValueError):
    """Bad input, found before anything is traced.

    ``str()`` of it is one line (or two): ``file:line:column: layer NAME: what is
    wrong; what was expected or how to mend it``. Parts that are not known are left out.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        line: int = 0,
        column: int = 0,
        layer: str = "",
        fix: str = "",
    ) -> None:
        self.message, self.source, self.line = message, source, line
        self.column, self.layer, self.fix = column, layer, fix
        place = ":".join(str(p) for p in (source, line, column) if p)
        parts = [place, f"layer {layer}" if layer else "", message]
        super().__init__(": ".join(p for p in parts if p) + (f"; {fix}" if fix else ""))
