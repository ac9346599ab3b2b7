from __future__ import annotations

import numpy as np
import pytest
from pointsman.training.words import FEWEST, typical

KNOWN = frozenset(
    [
        "please",
        "sort",
        "the",
        "list",
        "with",
        "python",
        "write",
        "poem",
        "about",
        "spring",
        "rain",
        "janet",
        "secret",
    ]
)


def words(
    *texts: str, others: str = "write the poem about rain", known: frozenset[str] = KNOWN
) -> tuple[str, ...]:
    """The words of a cluster of `texts` beside one of twenty others."""
    given = [*texts, *[others] * 20]
    cluster = np.array([0] * len(texts) + [1] * 20, dtype=np.intp)
    return typical(given, cluster, 2, known)[0]


def test_what_a_cluster_says_more_often_than_others() -> None:
    assert words(*["please sort the list with python"] * FEWEST) == (
        "list",
        "please",
        "python",
        "sort",
        "with",
    )


def test_words_of_few_prompts_are_dropped() -> None:
    many = ["sort the list"] * FEWEST
    assert "secret" not in words(*many, *["secret list"] * (FEWEST - 1))
    assert "secret" in words(*many, *["secret list"] * FEWEST)


@pytest.mark.parametrize(
    "text",
    [
        "Janet sort the list",  # mostly written with a capital
        "sort the list zxqv",  # not in the vocabulary
        "sort the list secret@example.com",
        "sort the list /home/secret",
        "sort the list secret_42 secret7 --secret secret.rain",
    ],
)
def test_names_addresses_and_identifiers_are_dropped(text: str) -> None:
    assert words(*[text] * 20) == ("list", "sort")


def test_a_word_at_the_end_of_a_sentence_counts() -> None:
    assert words(*["sort the list."] * 20) == ("list", "sort")


def test_a_word_counts_once_per_prompt() -> None:
    assert words(*["secret " * 50] * (FEWEST - 1), *["sort"] * FEWEST) == ("sort",)
