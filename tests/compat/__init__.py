"""What the package is tried with: frameworks, servers, back ends and Pythons, by one table."""
