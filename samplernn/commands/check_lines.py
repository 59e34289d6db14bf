"""What train.py --check tells, line by line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from samplernn.system.device import reason
from samplernn.system.errors import InputError, RunError
from samplernn.system.words import printable

INSTALL = "pip install -r requirements.txt"
GB = 10**9  # bytes


@dataclass(frozen=True)
class Line:
    """What is told: `ok`, `note` or `problem`, and the text, which ends in the remedy where it is a problem."""

    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark:<8} {printable(self.text)}"


ok, note, problem = (partial(Line, mark) for mark in ("ok", "note", "problem"))

Lines = Generator[Line, None, None]


def guarded(name: str, check: Callable[[], Any], remedy: str = INSTALL) -> Generator[Line, None, Any]:
    """The lines of a check, if it has any, and what it returns.

    Where it raises, one more line says so, with a remedy, and None is returned.
    """
    try:
        result = check()
        return (yield from result) if inspect.isgenerator(result) else result
    except (InputError, RunError) as error:
        yield problem(str(error))
    except Exception as error:
        yield problem(f"{name}: {type(error).__name__} ({reason(error)}); {remedy}")
