"""negspacy beside us on the negation test set, in an environment of its own, made on demand.

It pulls spaCy, whose pins are not ours. negspacy (NegEx for spaCy) says denied or not, nothing more,
so both sides are compared on absent against anything else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from radimpress.eval.measure import negation_set, read_assertion
from radimpress.reports.cache import cache_folder
from radimpress.reports.errors import ConfigError
from radimpress.reports.progress import Track, silent
from radimpress.reports.workshop import made_once

NEGSPACY = "1.1.0"
_ASK = """
import json, sys
import spacy
from negspacy.negation import Negex

for line in sys.stdin:
    sentence, concept = json.loads(line)
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns([{"label": "CONCEPT", "pattern": concept}])
    nlp.add_pipe("negex", config={"ent_types": ["CONCEPT"]})
    entities = [entity for entity in nlp(sentence).ents]
    print(json.dumps(bool(entities and entities[0]._.negex)), flush=True)
"""


def negspacy_python(track: Track = silent) -> Path:
    """The Python of negspacy's own environment; the first call makes it, which downloads, later ones only look.

    Raises:
        ConfigError: it cannot be made; says what failed.
    """

    def commands(side: Path) -> list[list[str]]:
        pip = [str(side / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        return [[sys.executable, "-m", "venv", str(side)], [*pip, f"negspacy=={NEGSPACY}"]]

    folder = cache_folder() / "negspacy" / NEGSPACY
    return made_once(folder, commands, f"negspacy {NEGSPACY}", track) / "bin" / "python"


def negspacy_right(track: Track = silent) -> tuple[float, float]:
    """The shares of the test set that negspacy and we read rightly, absent against anything else.

    Raises:
        ConfigError: negspacy cannot be installed or run.
    """
    cases = negation_set()
    asked = "".join(json.dumps([case.sentence, case.concept]) + "\n" for case in cases)
    command = [str(negspacy_python(track)), "-c", _ASK]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(answers) != len(cases):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"negspacy {NEGSPACY} could not be run: {last}")
    theirs = sum(said is (case.assertion == "absent") for case, said in zip(cases, answers, strict=True))
    ours = sum((read_assertion(c.sentence, c.concept) == "absent") is (c.assertion == "absent") for c in cases)
    return theirs / len(cases), ours / len(cases)
