"""The commands of `expertscope`, one module each; `backend.cli` puts them together.

A command parses nothing and catches nothing: typer has checked the arguments, `backend.cli.main` prints what it raises.
torch is imported inside the functions, so that `--help` answers at once.
"""
