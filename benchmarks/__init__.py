"""What is claimed, measured side by side."""
