"""BLE gateways: readers of beacons and watch tags."""
