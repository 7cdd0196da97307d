"""Networks and their derivatives behind one port: numpy for the built-in one, torch for any."""
