"""Searches for hyperparameters: tuners over trainings."""
