"""The families of models, and what they share."""
