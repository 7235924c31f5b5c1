"""Making content in other codings."""
