"""What a type checker says of code that uses the package."""
