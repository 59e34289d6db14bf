"""The commands' flags, and what train.py --check looks at."""
