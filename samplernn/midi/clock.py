"""The units of time in MIDI files."""

MICROSECONDS = 10**6  # a second
TEMPO = 500000  # microseconds a beat, where a file says nothing
