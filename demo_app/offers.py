"""Prices in the currency of the customer, who names it in the request field `Accept-Currency`."""

from pydantic import BaseModel

from .catalogue import Product

FIELD = "accept-currency"
HOME = "EUR"
RATES = {"EUR": 1.0, "GBP": 0.84, "SEK": 11.2, "USD": 1.09}


class Offer(BaseModel):
    """What a product costs a customer."""

    id: int
    currency: str
    price: str
    version: int


def offer(product: Product, wanted: str | None) -> Offer:
    """The price in the currency that is wanted; in euros if there is no such currency."""
    currency = (wanted or HOME).upper()
    currency = currency if currency in RATES else HOME
    price = f"{product.price_cents / 100 * RATES[currency]:.2f}"
    return Offer(id=product.id, currency=currency, price=price, version=product.version)
