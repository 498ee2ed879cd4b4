"""`python -m langidd`."""

from langidd.cli import main

main()
