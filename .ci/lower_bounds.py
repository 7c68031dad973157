"""Print the lower bounds that setup.cfg and pyproject.toml declare, as constraints of pip: `numpy==2.1`, one a line."""

import configparser
import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]

settings = configparser.ConfigParser()
settings.read_string((ROOT / "setup.cfg").read_text(encoding="utf-8"))
build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
run, test = settings["options"]["install_requires"], settings["options.extras_require"]["test"]
for requirement in [*run.split("\n"), *test.split("\n"), *build]:
    name, is_bounded, bound = requirement.partition(">=")
    if is_bounded:
        print(f"{name.strip()}=={bound.strip()}")
