"""Signals that wait for the end of a step, and those that don't."""

import signal
import threading

import pytest

from samplernn.commands.cli import Terminated
from samplernn.system.stopping import StopRequest


def terminate(*_):
    raise Terminated


@pytest.fixture(autouse=True)
def handlers():
    """As in a script; and they are there again after each test."""
    before = signal.signal(signal.SIGTERM, terminate)
    yield
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (
        signal.default_int_handler,
        terminate,
    )
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_noted_and_obeyed_later(capfd, number, error):
    with StopRequest() as stop:
        assert stop.asked == 0
        signal.raise_signal(number)
        assert stop.asked == number
        assert capfd.readouterr().out == "\nStopping after this step; Ctrl-C stops at once.\n"
        with pytest.raises(error):
            stop.obey(number)


def test_a_second_ctrl_c_acts_at_once_and_a_second_sigterm_does_not():
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_where_a_signal_may_act_at_once_it_does():
    with StopRequest() as stop:
        with stop.at_once(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # noted again
        with pytest.raises(Terminated), stop.at_once():
            pytest.fail("one that was noted before acts first")


def test_a_signal_that_is_ignored_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.asked == 0
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_outside_the_main_thread_nothing_is_changed():
    found = []

    def look():
        with StopRequest():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
