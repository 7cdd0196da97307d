"""Two tiers of digital twins that manage vehicular networks by themselves over a message bus.

The packages of the project are folders beside this one; here they get their one importable name.
"""
