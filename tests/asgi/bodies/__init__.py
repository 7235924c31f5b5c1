"""Tests of requests whose content is part of their key."""
