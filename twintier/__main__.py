"""`python -m twintier`: the same as the command `twintier`."""

from twintier.launch.cli.app import main

main()
