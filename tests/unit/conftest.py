"""What every unit test shares: hypothesis without a deadline, because a slow machine is no failure."""

from hypothesis import settings

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
