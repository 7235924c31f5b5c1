"""The application that servers serve: the one that `COMPAT_APP` names, with its cache."""

import os

from tests.compat.catalogue import caching

app = caching(os.environ["COMPAT_APP"])
