"""Three LSTM layers over the steps of a piano roll (RNN4Music, after Graves, 2013)."""
