"""What is to be done better than, against loops over notes and values that were worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samplernn.corpus.notes import Marginals, MarkovChains, accuracy_of_repeating

VALUES, NOTES = 3, 2
ROLLS = st.lists(
    st.integers(1, 6).flatmap(lambda steps: arrays(np.int8, (steps, NOTES), elements=st.integers(0, VALUES - 1))),
    min_size=1,
    max_size=3,
)


def plain_nll(learnt, predicted, given_before):
    """By a loop: each probability is (count + 1) / (all counts + the number of values)."""

    def events(rolls):
        for roll in rolls:
            before = [0] * NOTES
            for step in roll.tolist():
                for note, value in enumerate(step):
                    yield (note, before[note] if given_before else None), value
                before = step

    counts = {}
    for condition, value in events(learnt):
        counts.setdefault(condition, [0] * VALUES)[value] += 1
    total = 0.0
    for condition, value in events(predicted):
        seen = counts.get(condition, [0] * VALUES)
        total -= np.log((seen[value] + 1) / (sum(seen) + VALUES))
    return total / sum(map(len, predicted))


@given(ROLLS, ROLLS)
def test_they_are_the_plain_loops(learnt, predicted):
    assert Marginals(learnt, VALUES).nll(predicted) == pytest.approx(plain_nll(learnt, predicted, False))
    assert MarkovChains(learnt, VALUES).nll(predicted) == pytest.approx(plain_nll(learnt, predicted, True))


def test_a_roll_of_twice_the_weight_is_two_rolls():
    one, other = np.array([[1, 0]]), np.array([[0, 2], [1, 1]])
    weighted = Marginals([one, other], VALUES, [2, 1])
    assert weighted.nll([one]) == pytest.approx(Marginals([one, one, other], VALUES).nll([one]))


def test_accuracy_of_who_repeats_the_last_step():
    """Three of the notes that sound or sounded a step before do both; the first step follows on silence."""
    roll = np.array([[1, 0], [1, 2], [2, 1], [0, 0]])
    assert accuracy_of_repeating([roll]) == 3 / 7
    assert accuracy_of_repeating([np.zeros([3, 2], np.int8)]) == 0
