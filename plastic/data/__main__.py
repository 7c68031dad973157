"""`python -m plastic.data list | get NAME | show NAME`: what data sets there are, fetch one, draw one."""

from plastic import cli
from plastic.data import commands

if __name__ == "__main__":
    table = {"list": commands.list_sets, "get": commands.get, "show": commands.show}
    cli.run(table, prog="plastic.data")
