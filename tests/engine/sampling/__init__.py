"""What hits are like, seen at a few of them."""
