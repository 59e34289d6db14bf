"""Envelopes: what they are at each moment, how they are kept, what is none."""

import numpy as np
import pytest

from samplernn.options import envelope
from samplernn.options.values import SHARE, TEMPERATURE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.95, [0.95, 0.95, 0.95, 0.95, 0.95]),
        ("0.8@3", [0.8, 0.8, 0.8, 0.8, 0.8]),
        ("0.75@0,1.1@5,0.8@10", [0.75, 0.82, 1.1, 0.95, 0.8]),
        ("1@1,3@2", [1, 1, 3, 3, 3]),
    ],
)
def test_a_value_is_linear_between_its_points_and_constant_beyond(value, expected):
    np.testing.assert_allclose(envelope.at(value, np.array([0, 1, 5, 7.5, 1000])), expected, rtol=1e-12)


def test_an_envelope_is_kept_in_its_shortest_form():
    assert TEMPERATURE.parse("0.75@0,1.1@5,0.8@10") == "0.75@0,1.1@5,0.8@10"
    assert TEMPERATURE.parse(" 0.750@0.0 ,1e0@ 5\n") == "0.75@0,1@5"
    assert SHARE.parse("0@0,1.0@30") == "0@0,1@30" and SHARE.parse("0.5") == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5@0,0.7@5,0.9@5", "do not ascend: after 5 comes 5"),
        ("0.5@5,0.7@1", "do not ascend: after 5 comes 1"),
        ("0.5@1,0.7@1.00000000000001", "do not ascend: after 1 comes 1"),
        ("0.5@0,", "'' is not a value at a second"),
        ("0.5@0,0.7", "'0.7' is not a value at a second"),
        ("0.5@0@1", "'0.5@0@1' is not a value at a second"),
        ("warm@0", "warm is not a number from 0.000001 to 1000000"),
        ("0.5@-1", "'0.5@-1' is not at a second from 0 up"),
        ("0.5@inf", "'0.5@inf' is not at a second from 0 up"),
        ("0.5@nan", "'0.5@nan' is not at a second from 0 up"),
        ("0@0", "0 is not a number from 0.000001 to 1000000"),
        ("nan@0", "nan is not a number from 0.000001 to 1000000"),
        ("1e7@0", "1e7 is not a number from 0.000001"),
    ],
)
def test_what_is_no_envelope_is_refused_with_the_reason(text, said):
    with pytest.raises(ValueError, match=f"no envelope such as 0.75@0,1.1@5: .*{said}"):
        TEMPERATURE.parse(text)


@pytest.mark.parametrize("text", ["-0.1", "1.1", "0@0,1.1@30", "0.5@0,nan@1"])
def test_a_share_is_from_0_to_1(text):
    with pytest.raises(ValueError, match="is not a number from 0 to 1$"):
        SHARE.parse(text)
