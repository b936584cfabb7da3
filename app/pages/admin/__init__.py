"""The installation as its administrator sees it."""
