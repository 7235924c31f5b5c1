"""The rules of HTTP caching as pure functions: values and a time in, a decision out."""
