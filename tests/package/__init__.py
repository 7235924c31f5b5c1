"""What is published: the files of a release, what they say of themselves, and what they load."""
