"""SampleRNN: a sample tier below one or more tiers of frames (Mehri et al., ICLR 2017)."""
