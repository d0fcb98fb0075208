"""MongoDB behind the storage protocols."""
