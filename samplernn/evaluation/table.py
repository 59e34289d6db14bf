"""The table of an evaluation, as text, JSON and CSV. A row is a dict; what some rows lack is empty in theirs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samplernn.system.files import cannot_be_written, write_whole
from samplernn.system.words import printable

Row = dict[str, Any]


def as_text(rows: Sequence[Row]) -> str:
    """The table as it is printed: a line a row below one of the columns' names."""
    names = _columns(rows)
    cells = [[name.replace("_", " ") for name in names]]
    cells += [[_cell(name, row.get(name, "")) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])] for first, *others in cells)
    return "\n".join("  ".join(line) for line in lines)


def _columns(rows: Sequence[Row]) -> list[str]:
    return [*dict.fromkeys(name for row in rows for name in row)]


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3%}" if name.endswith("accuracy") else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else printable(value)


def write(rows: Sequence[Row], path: str) -> None:
    """Write the table as JSON, a list of objects, or as CSV, by how the path ends.

    Raises:
        RunError: the disk refuses.
    """
    text = _as_csv(rows) if Path(path).suffix.lower() == ".csv" else json.dumps(rows, indent=2) + "\n"
    try:
        write_whole(Path(path), text)
    except OSError as error:
        raise cannot_be_written(error, "is the disk full?") from None


def _as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
