"""SampleRNN: three tiers (Mehri et al., ICLR 2017)."""
