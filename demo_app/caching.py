"""All annotations of the demo: how long each response is cached, and what each edit invalidates.

In your own application, write the annotation above the endpoint:
`@cached(CacheStrategy.SHORT_TERM, tags=["product:{product_id}"])`. Here two applications have the
same routes and share one cache, so they share the annotations too.

A response has *tags* for the data it contains; an edit invalidates the tags of the data it changed.
A response without a tag or path that an edit names (`TRENDING`) is stale for at most its lifetime.
"""

from datetime import timedelta

from asgi_multitier import CacheStrategy, cached, invalidates

PRODUCTS = cached(CacheStrategy.SHORT_TERM, tags=["products"], query=["category", "page"])
PRODUCT = cached(CacheStrategy.SHORT_TERM, tags=["product:{product_id}"], query=[])
SEARCH = cached(CacheStrategy.DEFAULT, tags=["products"], query=["q", "page", "sort"])
PRICE = cached(CacheStrategy.REAL_TIME, tags=["product:{product_id}"], query=[])
CATEGORIES = cached(CacheStrategy.MEDIUM_TERM, tags=["products"], query=[])
SALES = cached(CacheStrategy.LONG_TERM, query=[])
STOCK = cached(CacheStrategy.SHORT_TERM, tags=["products"], query=["burst"])
STOCK_EACH = cached(CacheStrategy.SHORT_TERM, tags=["products"], query=["burst"], coalesce=False)
TRENDING = cached(CacheStrategy.custom(timedelta(seconds=30)), query=[])

# Careless on purpose: the answer depends on `Accept-Currency`, and the annotation does not say so.
# In shadow the application answers all the same, and the cache finds out. See `offers`.
OFFER = cached(CacheStrategy.SHORT_TERM, tags=["product:{product_id}"], query=[], shadow=True)
OFFER_REPAIRED = cached(
    CacheStrategy.SHORT_TERM,
    tags=["product:{product_id}"],
    query=[],
    vary=["accept-currency"],
    shadow=True,
)

CREATE = invalidates(tags=["products"], paths=["/reports/sales"])
EDIT = invalidates(tags=["products", "product:{product_id}"], paths=["/reports/sales"])
