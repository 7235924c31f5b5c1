"""Workers of one machine, without any server."""
