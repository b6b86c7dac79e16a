"""The one text that a model is asked with, and its inverse.

Training examples, evaluation and serving all call `render`; nobody else makes a prompt. Change its
words and PROMPT_VERSION together: an adapter is bound to the version that it learnt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from radimpress.reports.errors import FindingsError, InputError
from radimpress.reports.report import Report

PROMPT_VERSION = "1"
SYSTEM = "You are a radiologist. Write the impression."
FINDINGS_MAX = 20_000
FIELD_MAX = 2_000
FIELDS = ("clinic", "exam", "indication", "comparison")
EXAMPLE = "### Example"

_CHAT_TOKEN = re.compile(r"<\|[^<>|]{0,40}\|>")
_LABEL = re.compile(r"(?:\*\*|#{1,3} )?impression ?(?::\*\*|\*\*:|:)", re.IGNORECASE)
_LABEL_SPAN = len("### impression :**")


def render(report: Report) -> str:
    """The user's turn of the conversation; the base model's chat template goes around it.

    Chat control tokens inside the report's own text are taken out, so that a report cannot end its
    own turn.

    Raises:
        FindingsError: the findings are empty, or longer than FINDINGS_MAX characters.
        InputError: another field is longer than FIELD_MAX characters.
    """
    findings = clean(report.findings)
    if not findings:
        raise FindingsError("findings", "is empty")
    if len(report.findings) > FINDINGS_MAX:
        raise FindingsError("findings", f"has {len(report.findings)} characters; at most {FINDINGS_MAX} are read")
    for name in FIELDS:
        if len(getattr(report, name)) > FIELD_MAX:
            raise InputError(name, f"has {len(getattr(report, name))} characters; at most {FIELD_MAX} are read")
    fields = {
        "Modality": report.modality.value,
        "Exam": clean(report.exam),
        "Indication": clean(report.indication),
        "Comparison": clean(report.comparison),
        "Findings": findings,
    }
    return "\n".join(f"{name}: {value}" for name, value in fields.items() if value)


def render_with_examples(report: Report, examples: Sequence[Report]) -> str:
    """The same turn with worked examples before it: the few-shot baseline's prompt, and nobody else's.

    Without examples it is `render`. Every example is fenced by a numbered heading that stands in no
    report, so that an answer which goes on with the examples shows it.

    Raises:
        FindingsError: findings are empty, or longer than FINDINGS_MAX characters.
        InputError: another field is longer than FIELD_MAX characters.
    """
    asked = render(report)
    if not examples:
        return asked
    shown = [
        f"{EXAMPLE} {number}\n{render(example)}\nImpression: {clean(example.impression)}"
        for number, example in enumerate(examples, start=1)
    ]
    return "\n\n".join((*shown, f"{EXAMPLE} {len(shown) + 1}, the report to write the impression of\n{asked}"))


def clean(text: str) -> str:
    """Takes chat control tokens out of a report's own text, so that it cannot end its own turn."""
    return _CHAT_TOKEN.sub(" ", text).strip()


class Extractor:
    """Takes the impression out of what a model writes, piece by piece.

    Drops a leading "Impression:" label and surrounding white space, and ends at the first chat
    control token. What it gives out is never taken back: the pieces put together are the impression.
    """

    def __init__(self) -> None:
        self._held = ""
        self._labelled = False
        self._started = False
        self._ended = False

    def feed(self, piece: str) -> str:
        """Takes the next piece of text and gives what is certain to belong to the impression."""
        if self._ended:
            return ""
        self._held += piece
        if "<|" in self._held:
            self._held, self._ended = self._held.split("<|", 1)[0], True
            return self._release(final=True)
        return self._release(final=False)

    def finish(self) -> str:
        """Gives what was still held back."""
        self._ended = True
        return self._release(final=True)

    def _release(self, *, final: bool) -> str:
        if not self._started:
            self._held = self._held.lstrip()
            if not self._labelled:
                if not final and len(self._held) < _LABEL_SPAN:
                    return ""
                label = _LABEL.match(self._held)
                self._held = self._held[label.end() if label else 0 :].lstrip()
                self._labelled = True
            self._started = bool(self._held)
        certain = self._held.rstrip() if final else self._held.rstrip().removesuffix("<").rstrip()
        self._held = self._held[len(certain) :]
        return certain


def extract(text: str) -> str:
    """The impression in what a model wrote; empty when there is none."""
    extractor = Extractor()
    return extractor.feed(text) + extractor.finish()
