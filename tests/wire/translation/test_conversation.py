"""How a conversation is mended before it is written, case by case."""

from __future__ import annotations

from dataclasses import replace

from pointsman.wire.neutral import CallPart, Message, Part, Request, ResultPart, TextPart, ThinkingPart
from pointsman.wire.translation.conversation import NO_RESULT, settled
from wire.translation.said import IMAGE, asking, call, model, result, user


def mended(*messages: Message, fold: bool = True) -> list[tuple[str, list[str]]]:
    """(role, what its parts are) of each message."""
    return [
        (message.role, [shown(part) for part in message.parts])
        for message in settled(asking(*messages), fold=fold)
    ]


def shown(part: Part) -> str:
    if isinstance(part, CallPart):
        return f"call {part.id}"
    if isinstance(part, ResultPart):
        said = " ".join(shown(inner) for inner in part.parts)
        return f"result {part.id}: {said}" + (" (failed)" if part.error else "")
    return part.text if isinstance(part, TextPart | ThinkingPart) else type(part).__name__


def test_a_conversation_in_order_stays_as_it_is() -> None:
    said = (user("look"), model("I see", call("a"), call("b")), user(result("a", "x"), result("b", "y")))
    assert settled(asking(*said), fold=True) == said


def test_results_of_parallel_calls_come_in_the_order_of_the_calls() -> None:
    said = mended(user("look"), model(call("a"), call("b")), user(result("b", "y"), result("a", "x")))
    assert said[2] == ("user", ["result a: x", "result b: y"])


def test_results_in_messages_of_their_own_become_one_message() -> None:
    said = mended(
        user("look"), model(call("a")), model(call("b")), user(result("a", "x")), user(result("b", "y"))
    )
    assert said[1:] == [("assistant", ["call a", "call b"]), ("user", ["result a: x", "result b: y"])]


def test_what_the_user_says_beside_results_follows_them() -> None:
    said = mended(user("look"), model(call("a")), user("also", result("a", "x"), IMAGE))
    assert said[2] == ("user", ["result a: x", "also", "ImagePart"])


def test_a_call_that_was_not_carried_out_has_a_result_that_says_so() -> None:
    said = mended(user("look"), model(call("a"), call("b")), user(result("b", "y"), "stop that"))
    assert said[2] == ("user", [f"result a: {NO_RESULT} (failed)", "result b: y", "stop that"])
    said = mended(user("look"), model(call("a")))
    assert said[2] == ("user", [f"result a: {NO_RESULT} (failed)"])


def test_a_result_that_comes_late_stands_behind_its_call() -> None:
    said = mended(user("look"), model(call("a")), user("are you there?"), user(result("a", "x")))
    assert said[2:] == [("user", ["result a: x", "are you there?"])]
    said = mended(user("look"), model(call("a")), user("well?"), model("wait"), user(result("a", "x"), "so"))
    assert said[2:] == [("user", ["result a: x", "well?"]), ("assistant", ["wait"]), ("user", ["so"])]


def test_a_result_that_comes_twice_counts_once() -> None:
    """Gemini CLI 0.61 sends each twice after --resume."""
    said = mended(user("look"), model(call("a")), user(result("a", "x"), result("a", "x")))
    assert said[2] == ("user", ["result a: x"])


def test_results_of_one_call_are_one() -> None:
    """What a script of Codex (0.169) has to `notify` is a result of its own, before that of the script."""
    said = mended(user("look"), model(call("a")), user(result("a", "half", IMAGE)), user(result("a", "all")))
    assert said[2] == ("user", ["result a: half ImagePart all"])


def test_a_result_without_its_call_is_a_text() -> None:
    said = mended(user("look", result("a", "x", IMAGE)))
    assert said == [("user", ["look", "(A tool `ls` gave this back earlier.)", "x", "ImagePart"])]


def test_ids_that_come_twice_are_told_apart() -> None:
    one = (model(call("a")), user(result("a", "x")))
    two = (model(call("a")), user(result("a", "y")))
    said = mended(user("look"), *one, *two)
    assert said[3:] == [("assistant", ["call a~2"]), ("user", ["result a~2: y"])]
    three = (model(call("a~2")), user(result("a~2", "z")))
    said = mended(user("look"), *one, *two, *three)
    assert said[5:] == [("assistant", ["call a~2~2"]), ("user", ["result a~2~2: z"])]


def test_instructions_in_the_middle_become_reminders_or_stay() -> None:
    program = Message("system", (TextPart("be quick"),))
    said = (user("look"), program, model(call("a")), program, user(result("a", "x")))
    reminder = "<system-reminder>\nbe quick\n</system-reminder>"
    assert mended(*said) == [
        ("user", ["look", reminder]),
        ("assistant", ["call a"]),
        ("user", ["result a: x", reminder]),
    ]
    assert mended(*said, fold=False) == [
        ("user", ["look"]),
        ("system", ["be quick"]),
        ("assistant", ["call a"]),
        ("user", ["result a: x"]),
        ("system", ["be quick"]),
    ]
    wrapped = Message("system", (TextPart(reminder),))
    assert mended(user("look"), wrapped) == [("user", ["look", reminder])]


def test_what_says_nothing_goes() -> None:
    assert mended(user("look", " \n"), model("  "), user("")) == [("user", ["look"])]
    assert mended(user(result("a", "x")), model("")) == [
        ("user", ["(A tool `ls` gave this back earlier.)", "x"])
    ]


def test_the_first_message_is_the_users() -> None:
    assert mended(model("good morning"), user("hi")) == [
        ("user", ["(The conversation begins with the assistant.)"]),
        ("assistant", ["good morning"]),
        ("user", ["hi"]),
    ]
    alone = Request("m", (), system=("be nice", "say hello"))
    assert settled(alone, fold=True) == (user("say hello"),)


def test_thinking_stays_only_where_it_is_wanted() -> None:
    said = asking(user("look"), model(ThinkingPart("hm"), "I see"), model(ThinkingPart("so")), user("and?"))
    assert settled(said, fold=True) == (user("look"), model("I see"), user("and?"))
    kept = settled(said, fold=True, thinking=True)
    assert kept[1] == model(ThinkingPart("hm"), "I see", ThinkingPart("so"))


def test_results_know_the_tool_of_their_call() -> None:
    made = replace(call("a", "exec", "free"), custom=True, namespace="functions")
    (answered,) = settled(asking(user("x"), model(made), user(result("a", "y", name=""))), fold=True)[2].parts
    assert isinstance(answered, ResultPart)
    assert (answered.name, answered.namespace, answered.custom) == ("exec", "functions", True)
