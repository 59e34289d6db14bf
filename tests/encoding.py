"""Audio as FFmpeg encodes it, for the tests."""

import av


def encode(file, codec, audio, rate, layout, bit_rate=None, **kwargs):
    """Write int16 audio [frames, channels] to a path or an open file; the rest is what `av.open` takes."""
    with av.open(file, "w", **kwargs) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(audio.reshape(1, -1), "s16", layout)
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
