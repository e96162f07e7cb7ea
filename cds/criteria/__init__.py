"""The criteria, one paragraph each, in the order of the catalogue (section 6)."""

from cds.criteria import emergency, red_flag, surgical_referral, information, order_safety  # noqa: F401, I001
