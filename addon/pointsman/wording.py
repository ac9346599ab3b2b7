"""When two texts ask the same thing: a rule that would rather say no.

A sentence encoder hardly sees what an answer depends on. With the one that ships, "before" and "after",
"2023" and "2024", "USD to EUR" and "EUR to USD" lie closer together than most paraphrases do. So no number,
name, negation, quantifier or order is weighed here at all: two texts are the same only if they are equal
word by word, after a closed list of differences has been taken out that no answer can depend on:

- blanks around the text, and before the mark at its end;
- that mark: the full stop of what is no question, and the question mark after words that nothing else begins
  with;
- a capital at the beginning, of a word from a list that a word from another list follows;
- phrases at the beginning that only carry a request ("please …", "could you please …", "I'd like you to …");
- "what's the" for "what is the" at the beginning.

Greetings, thanks, a "please" at the end, "how can I" for "how do I", articles and synonyms were tried and
given up: for each there are texts that mean something else without it.

Where a text might be *about* words, or bring something along (a title, code, quotations, several lines or
sentences, something after a colon), even these count, and the two have to be the same to the letter.
"""

from __future__ import annotations

import re
from typing import Final


def _all(words: str) -> frozenset[str]:
    return frozenset(words.split())


LIMIT: Final = 400  # characters; a longer text is hardly one question

_BLANKS: Final = " \u00a0\u202f"  # before its question mark French has one that does not break
# Whoever uses one of these is writing code, quoting, or bringing something along.
_BRINGS: Final = re.compile(
    r"[`{}<>|\\=;$#@\[\]^~*_&\"\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f"
    r"\u2018\u201a\u201b]"
    r"|(?<![^\W\d_])'|'(?![^\W\d_])"  # an apostrophe that is none
    r"|[:\uff1a\u2013\u2014\u2026]|\.\.|(?<!\S)-+(?!\S)"
)
_END_INSIDE: Final = re.compile(r"[.!?\u3002\uff01\uff1f](?=\s)")

# With a word out of these the text may be about words, or about itself, and how it is written may matter.
_ABOUT: Final = _all(
    "above album band below book called film following lyrics movie named novel song title titled "
    "abc accent accents alphabet ask asked asking caps char chars comma commas echo emoji emojis greet "
    "greeting message messages mot mots parola parole prompt prompts quote quotes question questions repeat "
    "request requests said say saying says slang sounds thank tone token tokens typo typos verb verbs wort "
    "worte wörter frage nachricht frase frases pregunta mensaje lettre lettres phrase phrases"
)
_ABOUT_BEGINNINGS: Final = (
    "abbrev", "abkürz", "acronym", "anagram", "antonym", "apostroph", "autocorrect", "bedeut", "buchstab",
    "capitali", "character", "contraction", "correct", "corrig", "enunciat", "etiquette",
    "etymolog", "exclam", "formal", "grammar", "grammat", "großbuchst", "großschr", "heiß", "hyphen",
    "informal", "komma", "korrigier", "letter", "lowercas", "mayúscul", "majuscul", "mean", "oraci",
    "palabra", "palindrom", "paraphras", "phrasing", "polite", "pronounc", "pronunci", "proofread", "prononc",
    "punctuat", "quotation", "rephras", "reword", "rewrit", "rhym", "sentence", "signif", "spell", "spoken",
    "syllab", "synonym", "traduc", "traduis", "traduir", "transcri", "translat", "uppercas", "utter", "vocab",
    "vowel", "whisper", "wiederhol", "word", "übersetz",
)  # fmt: skip

# Words of which a capital says nothing where one of the words below follows. (Otherwise they may be names,
# or commands: "who in Linux".)
_ANY_CASE: Final = _all(
    "how what why whom whose when where who is are was were do does did has have had can could would should "
    "explain describe summarize summarise give tell recommend suggest provide calculate create generate "
    "write list find show name compare define convert sort prove solve draft "
    "wie warum wieso weshalb was erkläre beschreibe nenne comment pourquoi quel quelle quels quelles "
    "explique décris cómo qué quién cuál explica escribe"
)
_FUNCTION_WORDS: Final = _all(
    "a an the my your our this that these those all some two three four five ten me i you we they he she it "
    "there is are was were do does did can could should would will has have had how what why whether to "
    "der die das ein eine mir ist sind war kann ich man le la les un une est sont el los las es son se"
)
_TELLS: Final = _all(
    "write list find show name compare define convert sort prove solve draft "
    "explain describe summarize summarise give tell recommend suggest provide calculate create generate "
    "outline estimate design implement "
    "erkläre erklär erklären beschreibe beschreiben nenne nennen zeige zeigen schreibe schreiben "
    "explica explicar describe describir escribe escribir "
    "explique expliquer décris décrire écris écrire"
)
# What only a question begins with, so that the mark at its end adds nothing. ("Do it", "should it rain, …",
# "what does not kill me …" and "can it" are no questions without one.)
_SUBJECT: Final = r"(?:i|you|we|they|he|she|it|there|this|that|these|those|the|a|an|my|your|our)\b"
_QUESTION: Final = re.compile(
    r"(?:how|why|where|when) (?:is|are|was|were|do|does|did|can|could|should|would)\b|how to\b"
    rf"|(?:what|who) (?:is|are|was|were) {_SUBJECT}"
    rf"|(?:what|who) (?:do|does|did|can|could|should|would) {_SUBJECT}"
    rf"|(?:is|are|does|did) {_SUBJECT}"
    r"|(?:wie|warum|wieso|weshalb) (?:ist|sind|war|kann|geht|macht|wird|funktionier(?:t|en))\b"
    r"|was (?:ist|sind|war) (?:der|die|das|ein|eine)\b"
    r"|pourquoi\b|quel(?:le)? est\b|quel(?:le)?s sont\b|qu'est-ce\b|comment (?:faire|fonctionne)\b"
    r"|(?:cómo|qué|quién|cuál|cuáles|cuándo|dónde|por qué)\b",
    re.IGNORECASE,
)
_IS: Final = _all("is are was were ist sind war est sont es son")  # twice: "who is the first is …"
_CARRIERS: Final = tuple(
    tuple(phrase.split())
    for phrase in (
        "can you please", "could you please", "would you please", "will you please", "can you kindly",
        "could you kindly", "i want you to", "i need you to", "i'd like you to", "i would like you to",
        "please", "kindly", "bitte", "por favor", "per favore",
    )
)  # fmt: skip
_ASKING_CARRIERS: Final = _all("can could would will")
_WHATS: Final = {"what's": "is", "what\u2019s": "is", "what're": "are", "what\u2019re": "are"}
_ARTICLES: Final = _all("the a an")


def canonical(text: str) -> str:
    """The same for two texts only if they ask the same thing; "=" before it where every letter counts."""
    bare = text.strip(_BLANKS)
    words = None if not bare or len(bare) > LIMIT or _BRINGS.search(bare) else _words(bare)
    said = "" if words is None else " ".join(words)
    return "~" + said if said.isprintable() and said else "=" + text


def _words(text: str) -> list[str] | None:
    """The words without what no answer can depend on; None where every letter may matter."""
    body, mark = _without_mark(text)
    if not body or _END_INSIDE.search(body) or any(map(_is_about_words, body.split(" "))):
        return None
    given = body.split(" ")
    words = _without_carrier(given)
    if len(words) < len(given) and given[0].lower() in _ASKING_CARRIERS:
        mark = ""
    words = _begun(words)
    asks = _is_question(words)
    return words if mark == ("?" if asks else ".") or not mark else [*words, mark]


def _is_about_words(word: str) -> bool:
    word = word.lower().strip("¿¡(),.?!/")
    return word in _ABOUT or word.startswith(_ABOUT_BEGINNINGS)


def _without_mark(text: str) -> tuple[str, str]:
    """The text without the mark at its end, and that mark: "?", "." or none that can be told apart."""
    bare = text[:-1].rstrip(_BLANKS)
    mark = {"?": "?", "\uff1f": "?", ".": ".", "\u3002": "."}.get(text[-1], "")
    if not mark or not re.search(r"[^\W\d_]{2}\Z", bare):
        return text, ""  # after a number, a sign or a single letter it may belong to that
    return (bare.removeprefix("¿"), mark) if mark == "?" else (bare, mark)


def _is_question(words: list[str]) -> bool:
    said = " ".join(words)
    return _QUESTION.match(said) is not None and sum(word.lower() in _IS for word in words) < 2


def _without_carrier(words: list[str]) -> list[str]:
    """Without what only carries a request, where the request itself begins with a verb from the list."""
    lowered = [word.lower() for word in words[:7]]
    for phrase in _CARRIERS:
        count = len(phrase)
        if tuple(lowered[:count]) == phrase and len(words) > count + 1 and lowered[count] in _TELLS:
            return words[count:]
    return words


def _begun(words: list[str]) -> list[str]:
    """The beginning in one spelling."""
    first, second = words[0].lower(), words[1] if len(words) > 1 else ""
    if not words[0][1:].islower():
        return words
    if first in _WHATS and second in _ARTICLES:
        return ["what", _WHATS[first], *words[1:]]
    return [first, *words[1:]] if first in _ANY_CASE and second in _FUNCTION_WORDS else words
