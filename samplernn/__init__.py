"""SampleRNN: an unconditional end-to-end neural audio generation model (Mehri et al., ICLR 2017)."""

import os

__version__ = "1.0.0"

# TensorFlow and Keras read these while they are imported. Without the first, TensorFlow prints several lines; the
# second outranks a backend that the user has set for other work.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
