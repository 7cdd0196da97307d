"""The bus port and what stands behind it: MQTT, memory, faults on purpose, tapes of the wire."""
