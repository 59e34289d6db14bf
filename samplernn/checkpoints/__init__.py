"""What a training leaves on the disk."""
