"""What caches do, asked of each with the same requests over HTTP."""
