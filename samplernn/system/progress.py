"""How far a long task is: on a terminal a bar, which is gone in the end; elsewhere a line now and then."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable

from tqdm import tqdm

tqdm.set_lock(threading.RLock())  # not one for several processes, which says on stderr that it is left over
BAR = "{percentage:3.0f}% {desc} |{bar}|"  # what does not fit is cut off at the end
READABLE_SECONDS = 10  # between two lines of steps that nobody can be meant to read all of


class StepLines:
    """The lines of the steps: each stays; or, on a terminal, takes the place of the one before, cut to its width.

    Where lines are not to stay and there is no terminal on which they could be overwritten, there is one now and then,
    and a last one.

    Args:
        all_stay: whether each takes a new line.
    """

    def __init__(self, all_stay: bool):
        self._all_stay = all_stay
        self._due = time.monotonic()
        self._width = 0  # of the line that stands on the terminal and may be overwritten

    def show(self, line: str, last: bool) -> None:
        """Print the line of a step, or of the `last` one of several."""
        if self._all_stay:
            print(line, flush=True)
        elif sys.stdout.isatty():
            room = shutil.get_terminal_size().columns - 1  # what is wrapped cannot be overwritten
            line = line[:room]
            print("\r" + line.ljust(min(self._width, room)), end="\n" if last else "", flush=True)
            self._width = 0 if last else len(line)
        elif last or time.monotonic() >= self._due:
            self._due = time.monotonic() + READABLE_SECONDS
            print(line, flush=True)

    def print_below(self, line: str) -> None:
        """Print another line, which leaves the one of the last step as it is."""
        print(("\n" if self._width else "") + line, flush=True)
        self._width = 0


class ProgressBar:
    """Shows on stdout how far a task is, until it is closed.

    Args:
        total: how much there is to do, in any unit; None where that is not known.
        line: says, of how much is done, how far that is.
        beside_bar: says the same in few characters; as `line` by default.
        patience: seconds before a terminal shows a bar.
        every: seconds between two lines, and before the first.
    """

    def __init__(
        self,
        total: float | None,
        line: Callable[[float], str],
        beside_bar: Callable[[float], str] | None = None,
        patience: float = 0,
        every: float = 1,
    ):
        self._line, self._beside_bar, self._every = line, beside_bar or line, every
        terminal = sys.stdout.isatty()
        first = self._beside_bar(0)
        # `miniters`: each look at the clock may be the one to draw after; `nrows`: not every terminal tells its own.
        self._bar = tqdm(
            desc=first, total=total, bar_format=BAR, file=sys.stdout, leave=False, miniters=0, nrows=20,
            delay=patience, disable=not terminal,
        )  # fmt: skip
        self._due = time.monotonic() + every

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def __call__(self, done: float) -> None:
        """Show how much is done by now, if it is time to."""
        if not self._bar.disable:
            self._bar.set_description_str(self._beside_bar(done), refresh=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            print(self._line(done), flush=True)
