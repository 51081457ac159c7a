"""A report as a list of blocks, written as Markdown and as one HTML page with its pictures inside."""

from __future__ import annotations

import base64
import dataclasses
import html
from collections.abc import Sequence
from pathlib import Path

from jaxmaestro.results.files import atomic


@dataclasses.dataclass(frozen=True)
class Heading:
    """A title; level 1 is the report's."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table; columns but the first ``left`` are aligned to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG beside the report."""

    path: Path
    text: str


Block = Heading | Paragraph | Grid | Picture

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:72rem}body{margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;font-size:14px}th,td{padding:.25rem .7rem;text-align:right}
th{border-bottom:2px solid #888}td{border-bottom:1px solid #ddd}.l{text-align:left}
img{max-width:100%}figure{margin:1rem 0}figcaption{color:#555;font-size:14px}"""


def markdown(blocks: Sequence[Block]) -> str:
    """The report as Markdown; pictures are linked by file name."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Picture(path, text):
            return f"![{text}]({path.name})"
        case Grid(head, rows, left):
            marks = ["---" if i < left else "---:" for i in range(len(head))]
            return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))


def page(title: str, blocks: Sequence[Block]) -> str:
    """The report as one HTML file that needs no other."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Picture(path, text):
            data = base64.b64encode(path.read_bytes()).decode()
            caption = html.escape(text)
            return (
                f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        case Grid(head, rows, left):
            return f"<table>{_row(head, left, 'th')}{''.join(_row(row, left, 'td') for row in rows)}</table>"


def _row(cells: Sequence[str], left: int, tag: str) -> str:
    marked = (
        f"<{tag}{' class=l' if i < left else ''}>{html.escape(cell)}</{tag}>" for i, cell in enumerate(cells)
    )
    return f"<tr>{''.join(marked)}</tr>"


def write_document(folder: Path, name: str, title: str, blocks: Sequence[Block]) -> list[Path]:
    """Write ``name.md`` and ``name.html`` into a folder and return their paths."""
    written = [folder / f"{name}.md", folder / f"{name}.html"]
    for place, text in zip(written, (markdown(blocks), page(title, blocks)), strict=True):
        with atomic(place) as path:
            path.write_text(text)
    return written
