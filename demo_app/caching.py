"""Every annotation of the demo: how long each answer is kept, and what each edit drops.

In an application of your own the annotation stands above the endpoint, in full:
`@cached(CacheStrategy.SHORT_TERM, tags=["product:{product_id}"])`. Here two applications have the
same routes and share one cache, so they share the annotations too.

An answer is *tagged* with what it is made of; an edit drops the tags of what it changed. What has
neither tag nor path in common with an edit (`TRENDING`) lags behind for its lifetime at most.
"""

from datetime import timedelta

from asgi_multitier import CacheStrategy, Rule, cached, invalidates

PRODUCTS = cached(CacheStrategy.SHORT_TERM, tags=["products"], query=["category", "page"])
PRODUCT = cached(CacheStrategy.SHORT_TERM, tags=["product:{product_id}"], query=[])
SEARCH = cached(CacheStrategy.DEFAULT, tags=["products"], query=["q", "page", "sort"])
PRICE = cached(CacheStrategy.REAL_TIME, tags=["product:{product_id}"], query=[])
CATEGORIES = cached(CacheStrategy.MEDIUM_TERM, tags=["products"], query=[])
SALES = cached(CacheStrategy.LONG_TERM, query=[])
TRENDING = cached(CacheStrategy.custom(timedelta(seconds=30)), query=[])

CREATE = invalidates(tags=["products"], paths=["/reports/sales"])
EDIT = invalidates(tags=["products", "product:{product_id}"], paths=["/reports/sales"])

RULES = [Rule("/static/*", CacheStrategy.LONG_TERM)]
"""For what cannot be annotated: a mounted application that serves files."""
