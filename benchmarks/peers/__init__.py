"""The same routes behind other caches for Python, each as its own documentation shows."""
