"""A demonstration: learners who behave like learners, and what the product makes of them."""
