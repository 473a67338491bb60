"""How deep a visit goes: landing, product view, cart, checkout, order."""

from __future__ import annotations

from numba import njit

LANDING, VIEW, CART, CHECKOUT, ORDER = 0, 1, 2, 3, 4
DEPTHS = ("landing", "view", "cart", "checkout", "order")


@njit(inline="always")
def depth_of(u, buys, order_rate, checkout_rate, cart_rate):  # type: ignore[no-untyped-def]
    """The step at which a visit ends, from the uniform that decides the order.

        order: u < p    checkout: u < p / c3    cart: u < p / (c3 c2)    view: u < p / (c3 c2 c1)

    So who buys has seen, carted and checked out, and the steps' ratios are those of the published funnel
    (GA4 public sample, users: view to cart .205, cart to checkout .774, checkout to order .455), as long
    as no step is certain.

    Args:
      u: uniform in (0, 1).
      buys: p, the probability of an order.
      order_rate, checkout_rate, cart_rate: c3, c2, c1 in (0, 1].
    """
    step = buys
    if u < step:
        return ORDER
    step /= order_rate
    if u < step:
        return CHECKOUT
    step /= checkout_rate
    if u < step:
        return CART
    return VIEW if u < step / cart_rate else LANDING
