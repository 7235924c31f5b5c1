"""What the documentation site needs beyond mkdocs.yml: hooks, checks and the theme's own part."""
