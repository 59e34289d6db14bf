"""A call in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from samplernn.system.errors import RunError

SECONDS_TO_END = 5


def in_own_process(function: Callable, *arguments) -> Any:
    """Call a function in a fresh process, which gives all its memory back and whose crash is its own.

    Args:
        function: one that another process can import by its name.
        arguments: what it is called with; they are pickled, and so is what it returns or raises.

    Raises:
        RunError: the process was killed, as the system does where memory runs out.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        succeeded, answer = receiver.recv()
    except EOFError:
        process.join()
        raise RunError(f"its process ended with status {process.exitcode}; perhaps memory ran out") from None
    finally:
        process.terminate()
        process.join(SECONDS_TO_END)
        process.kill()
        process.join()
    if succeeded:
        return answer
    raise answer


def _answer(sender, function: Callable, arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller too, who then ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    remarks_to_stdout()
    try:
        answer = True, function(*arguments)
    except Exception as error:
        answer = False, error
    sender.send(answer)


def remarks_to_stdout() -> None:
    """Let warnings be lines on stdout: on stderr stands nothing but the line that says why a script failed."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
