"""What the SDKs are put through in either language: the provider's answers, and what may be seen of a marker.

A scenario is played by the function of its name, in `sdk_py/SURFACE.py` and in `sdk_js/SURFACE.mjs`. It takes
a client, the model to ask for, extra headers and whether to stream; it returns the answers, each as the JSON
of what the SDK made of it (Gemini: a list of chunks). What it says next is made of the SDK's own objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from provider.answers import Answer, Call, Given, Step, Text, Think


@dataclass(frozen=True, slots=True)
class Scenario:
    """`shown` is the number of markers in each answer; `served` is a model that takes what `asked` takes."""

    surface: str
    name: str
    steps: tuple[Step, ...]
    asked: str
    served: str
    shown: int = 1
    api: str = ""  # of Gemini: v1 or v1beta

    @property
    def id(self) -> str:
        return f"{self.surface}-{self.name}"


TURNS: tuple[Step, ...] = (
    Answer((Text("Good evening."),)),
    Answer((Text("I look it up."), Call("timetable", {"train": "⑨ “Élan”"}), Call("timetable", {"n": 2}))),
    Answer((Call("timetable", {"again": True}),)),
    Answer((Text("Platform nine. At ten."),)),
    Answer((Text("You are welcome.\n\n"),)),
)
THINKING: tuple[Step, ...] = (
    Answer((Think("Hm."), Text("I look."), Call("timetable", {"a": 1}))),
    Answer((Think("Hm again."), Call("timetable", {"b": 2}), Call("timetable", {"c": 3}))),
    Answer((Think("And again."), Text("Nine."))),
    Answer((Think("Still."), Text("Yes."))),
)
SHORT = (Answer((Text("Red."),)),)
JSON = (Answer((Text('{"platform": 9, "city": "Oslo"}'),)),)
CALLED = (Answer((Call("timetable", {"train": "9"}),)),)
REFUSED = (Answer((Given({"type": "refusal", "refusal": "I cannot help with that."}),)),) * 2
FREE = (Answer((Text("I write."), Call("note", "Gleis ⑨\nat “ten”"))), *SHORT)


def _of(
    surface: str, asked: str, served: str, *rows: tuple[str, tuple[Step, ...], int]
) -> tuple[Scenario, ...]:
    return tuple(Scenario(surface, name, steps, asked, served, shown) for name, steps, shown in rows)


ANTHROPIC = (
    *_of(
        *("anthropic", "claude-opus-4-8", "claude-haiku-4-5"),
        ("turns", TURNS, 1),
        ("image", SHORT, 1),
        ("structured", JSON, 0),
        ("forced", CALLED, 0),
    ),
    Scenario("anthropic", "thinking", THINKING, "claude-opus-4-8", "claude-opus-4-6"),
)
CHAT = (
    *_of(
        *("openai_chat", "gpt-5.4", "gpt-5.4-mini"),
        ("turns", TURNS, 1),
        ("helper", TURNS, 1),
        ("custom", FREE, 1),
        ("image", SHORT, 1),
        ("usage", SHORT, 1),
        ("structured", JSON, 0),
        ("json_mode", JSON, 0),
        ("forced", CALLED, 0),
        ("refusal", REFUSED, 0),
    ),
    Scenario("openai_chat", "choices", SHORT, "gpt-4.1", "gpt-4.1-mini", 3),
    Scenario("openai_chat", "logprobs", SHORT, "gpt-4.1", "gpt-4.1-mini", 0),
)
RESPONSES = _of(
    *("openai_responses", "gpt-5.5", "gpt-5.4"),
    ("turns", TURNS, 1),
    ("helper", TURNS, 1),
    ("reasoning", THINKING, 1),
    ("chained", TURNS, 1),
    ("custom", FREE, 1),
    ("image", SHORT, 1),
    ("structured", JSON, 0),
    ("json_mode", JSON, 0),
    ("forced", CALLED, 0),
    ("refusal", REFUSED, 1),
)
GEMINI = (
    *_of(
        *("gemini", "gemini-3.8-flash", "gemini-3.6-flash"),
        ("turns", TURNS, 1),
        ("automatic", TURNS[1:], 1),
        ("thinking", THINKING, 1),
        ("image", SHORT, 1),
        ("structured", JSON, 0),
        ("json_mode", JSON, 0),
        ("forced", CALLED, 0),
    ),
    Scenario("gemini", "older", THINKING, "gemini-2.5-pro", "gemini-2.5-flash", api="v1"),
    Scenario("gemini", "candidates", SHORT, "gemini-2.5-pro", "gemini-2.5-flash", 2),
    Scenario("gemini", "turns", TURNS, "gemini-3.8-flash", "gemini-3.6-flash", api="v1beta"),
)
