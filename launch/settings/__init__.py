"""Every setting of a deployment: one table, three ways to set it (file, environment, option)."""
