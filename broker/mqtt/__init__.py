"""The bus over MQTT: connection, windows, TLS and credentials."""
