"""The commands of `python -m plastic.eprop`: pattern, evidence, store_recall, reward, timit, atari, verify, figure."""

from plastic import cli
from plastic.eprop.experiments.atari import atari
from plastic.eprop.experiments.evidence import evidence
from plastic.eprop.experiments.pattern import pattern
from plastic.eprop.experiments.reward import reward
from plastic.eprop.experiments.store_recall import store_recall
from plastic.eprop.experiments.timit import timit
from plastic.eprop.experiments.verify import verify
from plastic.runs.figure import figure

COMMANDS = {
    "pattern": pattern,
    "evidence": evidence,
    "store_recall": store_recall,
    "reward": reward,
    "timit": timit,
    "atari": atari,
    "verify": verify,
    "figure": figure,
}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.eprop")
