"""Where cores keep what they must not forget."""
