"""The application for operators."""
