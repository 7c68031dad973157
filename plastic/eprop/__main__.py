"""The commands `python -m plastic.eprop pattern | evidence | store_recall | verify`."""

from plastic import cli
from plastic.eprop.evidence import evidence
from plastic.eprop.pattern import pattern
from plastic.eprop.store_recall import store_recall
from plastic.eprop.verification import verify

COMMANDS = {"pattern": pattern, "evidence": evidence, "store_recall": store_recall, "verify": verify}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.eprop")
