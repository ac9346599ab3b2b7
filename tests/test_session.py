"""Which conversation an action belongs to, and what is remembered of it."""

from __future__ import annotations

from dataclasses import replace

import samples
from pointsman.session import Session, Sessions, hint_hash, session_key
from pointsman.values import Credential, CredentialKind

ALICE = Credential(CredentialKind.API_KEY, "a" * 16)
BOB = Credential(CredentialKind.API_KEY, "b" * 16)

FACTS = replace(samples.FACTS, session_hint="conversation-1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_key_stays_the_same_while_the_conversation_grows() -> None:
    later = replace(FACTS, user_texts=("mend the points", "thanks"), message_count=7, tool_loop=True)
    assert session_key(later, ALICE) == session_key(FACTS, ALICE)


def test_conversations_of_different_accounts_ids_and_beginnings_are_apart() -> None:
    keys = {
        session_key(FACTS, ALICE),
        session_key(FACTS, BOB),
        session_key(replace(FACTS, session_hint="conversation-2"), ALICE),
        session_key(replace(FACTS, session_hint=None), ALICE),
        session_key(replace(FACTS, first_user_text="a sub-agent's task"), ALICE),
        session_key(replace(FACTS, surface="gemini"), ALICE),
    }
    assert len(keys) == 6


def test_parts_of_the_key_do_not_run_into_each_other() -> None:
    one = replace(FACTS, session_hint="ab", first_user_text="c")
    other = replace(FACTS, session_hint="a", first_user_text="bc")
    assert session_key(one, ALICE) != session_key(other, ALICE)


def test_a_lone_surrogate_has_a_key_too() -> None:
    assert len(session_key(replace(FACTS, first_user_text="\ud800"), ALICE)) == 32


def test_the_hint_is_stored_as_a_hash_only() -> None:
    assert hint_hash("") == ""
    assert len(hint_hash("conversation-1")) == 16
    assert "conversation" not in hint_hash("conversation-1")


def test_the_last_served_model_is_remembered() -> None:
    sessions = Sessions(60, Clock())
    assert sessions.get("k") is None
    sessions.served("k", "claude-haiku-4-5")
    sessions.served("k", "claude-opus-4-8")
    assert sessions.get("k") == Session("claude-opus-4-8", 0.0)


def test_a_refused_model_stays_refused_for_the_conversation() -> None:
    sessions = Sessions(60, Clock())
    sessions.served("k", "claude-haiku-4-5")
    sessions.refused("k", "claude-haiku-4-5", instead="claude-opus-4-8")
    sessions.served("k", "claude-opus-4-8")
    assert sessions.get("k") == Session("claude-opus-4-8", 0.0, frozenset({"claude-haiku-4-5"}))


def test_a_conversation_is_forgotten_after_its_last_action() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    sessions.served("k", "claude-haiku-4-5")
    clock.now = 59
    sessions.served("k", "claude-haiku-4-5")
    clock.now = 118
    assert sessions.get("k") is not None
    clock.now = 120
    assert sessions.get("k") is None


def test_the_number_of_conversations_is_bounded() -> None:
    sessions = Sessions(60, Clock(), limit=3)
    for number in range(10):
        sessions.served(str(number), "claude-haiku-4-5")
    assert len(sessions) == 3
    assert sessions.get("9") is not None


def test_reading_keeps_no_conversation_among_the_remembered() -> None:
    """A dry run reads; whatever it asks about, others are forgotten as if it had not."""
    sessions = Sessions(60, Clock(), limit=2)
    sessions.served("first", "claude-haiku-4-5")
    sessions.answered("a", "msg_1", "first")
    sessions.served("second", "claude-haiku-4-5")
    sessions.answered("a", "msg_2", "second")
    assert sessions.get("first") is not None
    assert sessions.after("a", "msg_1") == "first"
    sessions.served("third", "claude-haiku-4-5")
    sessions.answered("a", "msg_3", "third")
    assert sessions.get("first") is sessions.after("a", "msg_1") is None
    assert sessions.get("second") is not None


def test_a_restart_takes_up_what_was_stored() -> None:
    clock = Clock()
    clock.now = 100.0
    sessions = Sessions(60, clock, limit=2)
    sessions.restore([("old", "m1", 30.0, ""), ("newer", "m2", 20.0, ""), ("newest", "m3", 10.0, "m4")])
    assert sessions.get("old") is None
    newest = sessions.get("newest")
    assert newest == Session("m3", 90.0, requested="m4")
    assert sessions.idle_s(newest) == 10.0
