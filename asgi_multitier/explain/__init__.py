"""What the cache would do with a request, and why; and what is odd about an application's routes.

- `explanation`: what `CacheManager.explain` returns.
- `advice`: a sentence and a remedy for each `Reason`.
- `question`: a request as it is asked about.
- `redaction`: what is shown of texts that come from requests.
- `effects`: which routes drop what is stored, and what a route drops.
- `routes`: a table of an application's routes; `lint`, `order`, `findings`: what is odd about them.
- `similar`: which text another one nearly is.
- `sentences`: what is said of a verdict.
"""

from .explanation import Explanation, Verdict
from .findings import Finding, Level
from .routes import RoutesReport

__all__ = ["Explanation", "Finding", "Level", "RoutesReport", "Verdict"]
