"""`twintier doctor`: what would lose messages, and the line that mends it."""
