"""SampleRNN: an unconditional end-to-end neural audio generation model (Mehri et al., ICLR 2017)."""

import os

__version__ = "1.0.0"

# TensorFlow reads this while it is imported, and prints several lines without it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
