"""What all tests share."""

from hypothesis import HealthCheck, settings

# No test asserts a wall-clock time: a busy machine may take its time over an example, and over drawing it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
