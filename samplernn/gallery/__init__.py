"""From generated clips to a page to choose from by ear, and from what was chosen to files."""
