#!/bin/sh
# Starts mosquitto with one user, MQTT_USER, whose password comes from MQTT_PASSWORD.
set -eu
umask 077
mkdir -p /mosquitto/secrets
: > /mosquitto/secrets/passwords
mosquitto_passwd -b /mosquitto/secrets/passwords "$MQTT_USER" "$MQTT_PASSWORD"
chown -R mosquitto:mosquitto /mosquitto/secrets /mosquitto/data
exec mosquitto -c /tsunagu/mosquitto.conf
