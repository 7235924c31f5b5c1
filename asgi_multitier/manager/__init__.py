"""Every call that is made by hand."""
