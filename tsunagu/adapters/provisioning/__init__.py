"""The FIWARE provisioning API: /iot/groups, /iot/services, /iot/devices, /iot/op/delete, /iot/about."""
