"""From a corpus to checkpoints."""
