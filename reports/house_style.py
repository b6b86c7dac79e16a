"""How an invented clinic writes: the same content in a list, in sentences, or clipped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["numbered", "bullets", "paragraph", "telegraphic"]

_ARTICLE = re.compile(r"^(?:a|an|the) ", re.IGNORECASE)
_SMALL_WORD = re.compile(r"\b(?:a|an|the|is|are|of) ", re.IGNORECASE)
_LEADS = ("There is", "There is also", "In addition, there is")


@dataclass(frozen=True, slots=True)
class HouseStyle:
    """A clinic's habits.

    Attributes:
        form: of the impression.
        upper: all in upper case.
        recommends: adds what to do about the first conclusion.
        share: of the corpus.
    """

    form: Form
    upper: bool
    recommends: bool
    share: float


STYLES: dict[str, HouseStyle] = {
    "alder": HouseStyle("numbered", upper=False, recommends=True, share=0.22),
    "birch": HouseStyle("bullets", upper=False, recommends=False, share=0.17),
    "cedar": HouseStyle("paragraph", upper=False, recommends=True, share=0.19),
    "dogwood": HouseStyle("paragraph", upper=False, recommends=False, share=0.14),
    "elm": HouseStyle("telegraphic", upper=False, recommends=False, share=0.16),
    "fir": HouseStyle("telegraphic", upper=True, recommends=False, share=0.12),
}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One thing to conclude.

    Attributes:
        phrase: a noun phrase with its article, as in "a small left pleural effusion".
        recommendation: a noun phrase, as in "CT in 3 months"; empty for nothing.
    """

    phrase: str
    recommendation: str = ""


def write_impression(conclusions: Sequence[Conclusion], negative: str, style: HouseStyle) -> str:
    """Writes conclusions, most important first, then the negative statement, in a clinic's style.

    `negative` is a noun phrase, as in "no acute fracture".
    """
    phrases = [conclusion.phrase for conclusion in conclusions]
    advice = conclusions[0].recommendation if style.recommends and conclusions else ""
    if style.form == "paragraph":
        text = _paragraph(phrases, negative, advice)
    elif style.form == "telegraphic":
        text = " ".join(_sentence(_SMALL_WORD.sub("", phrase)) for phrase in (*phrases, negative))
    else:
        items = [_sentence(_ARTICLE.sub("", phrase)) for phrase in (*phrases, negative)]
        items += [_sentence(f"Recommend {advice}")] if advice else []
        marks = [f"{at}." if style.form == "numbered" else "-" for at in range(1, len(items) + 1)]
        text = "\n".join(f"{mark} {item}" for mark, item in zip(marks, items, strict=True))
    return text.upper() if style.upper else text


def _paragraph(phrases: Sequence[str], negative: str, advice: str) -> str:
    sentences = [f"{_LEADS[min(at, 2)]} {phrase}." for at, phrase in enumerate(phrases)]
    sentences.append(f"There is {negative}.")
    if advice:
        sentences.append(f"We would recommend {advice}.")
    return " ".join(sentences)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
