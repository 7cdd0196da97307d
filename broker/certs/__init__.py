"""Certificates and signing keys of a deployment, in a folder."""
