"""MQTT brokers that a tenant connects to, and routes: any topic and any webhook to a device format."""
