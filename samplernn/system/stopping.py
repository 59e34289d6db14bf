"""Ctrl-C and SIGTERM, answered between two steps and not in the middle of one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDOUT = 1


def print_unless_reader_is_gone(text: str) -> None:
    """Print what is said in the end, if there is still somebody to read it; from then on nothing needs to be read."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)


class StopRequest:
    """A context in which SIGINT and SIGTERM are noted and left to be obeyed; a second Ctrl-C acts at once.

    Outside the main thread, which alone gets signals, it does nothing; and it leaves a signal that is ignored ignored.
    """

    def __init__(self):
        self.asked = 0  # the number of the signal, if there was one
        self._before = {}  # the handlers of the signals that are watched for

    def __enter__(self) -> StopRequest:
        self._watch()
        return self

    def __exit__(self, *_) -> None:
        self._unwatch()

    def obey(self, number: int) -> None:
        """Do what the signal does outside of this context: raise KeyboardInterrupt, or end the process."""
        self._unwatch()
        signal.raise_signal(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal acts wherever it comes, and one that was noted before, now."""
        watching = bool(self._before)
        if self.asked:
            self.obey(self.asked)
        self._unwatch()
        try:
            yield
        finally:
            if watching:
                self._watch()

    def _watch(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)

    def _unwatch(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _) -> None:
        if self.asked and number == signal.SIGINT:
            self.obey(number)
        elif not self.asked:
            self.asked = number
            with suppress(OSError):  # whoever reads it may have got the same Ctrl-C
                # Not print, which may just be at work.
                os.write(STDOUT, b"\nStopping after this step; Ctrl-C stops at once.\n")
