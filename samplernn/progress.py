"""How far a long task is: on a terminal a bar, which is gone in the end; elsewhere a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from tqdm import tqdm

tqdm.set_lock(threading.RLock())  # not one for several processes, which says on stderr that it is left over
BAR = "{percentage:3.0f}% {desc} |{bar}|"  # what does not fit is cut off at the end


class ProgressBar:
    """Shows on stdout how far a task is, until it is closed.

    Args:
        total: how much there is to do, in any unit.
        line: says, of how much is done, how far that is.
        beside_bar: says the same in few characters; as `line` by default.
        patience: seconds before a terminal shows a bar.
        every: seconds between two lines, and before the first.
    """

    def __init__(
        self,
        total: float,
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
