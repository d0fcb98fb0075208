"""What each NGSI-LD operation does, apart from HTTP."""
