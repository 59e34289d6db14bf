"""The machine: its files, devices, processes and terminal."""
