"""Who asks, for which tenant."""
