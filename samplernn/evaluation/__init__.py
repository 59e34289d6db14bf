"""How well checkpoints predict recordings."""
