"""What every test shares: how Hypothesis looks for counterexamples."""

from hypothesis import settings

# A shared, slow machine is no counterexample; a failure prints what reproduces it.
settings.register_profile("backpain-cds", deadline=None, print_blob=True)
settings.load_profile("backpain-cds")
