"""WaveNet: dilated causal convolutions with gates, one prediction for every sample (van den Oord et al., 2016)."""
