"""What is asked of the reports is declared once, and checked where it is declared."""

import pytest

from otel_usage import App, Fact, Question
from otel_usage.facts.environment import EnvironmentFact
from otel_usage.facts.question import askable
from otel_usage.integrations.vllm import APP


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"title": ""}, "the title must say what is asked"), ({"title": None}, "the title must say what is asked"),
        ({"by": ()}, "by= must name at least one fact"), ({"by": (7,)}, "by= must name at least one fact"), ({"by": ("a", "a")}, "by= names a fact twice"),
        ({"measure": "users"}, "measure= must be one of runs, gpus, engine_hours"), ({"draw": "pie"}, "draw= must be one of bars, grid, lines"),
        ({"over": "hour", "draw": "lines"}, "over= must be one of day, week, month"), ({"over": "week"}, 'draw="lines" and over= go together'),
        ({"draw": "lines"}, 'draw="lines" and over= go together'), ({"draw": "grid"}, 'draw="grid" is for two facts'),
        ({"draw": "lines", "over": "day", "by": ("a", "b")}, 'draw="lines" is for one fact'),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(declared, problem):
    """With what to write instead."""
    given = {"title": "Which", "by": "a", **declared}
    with pytest.raises(ValueError, match="question") as caught:
        Question(given.pop("title"), given.pop("by"), **given)

    assert str(caught.value) == f"question {declared.get('title', 'Which')!r}: {problem}"


def test_an_app_asks_only_for_what_its_reports_have():
    """A key that no report has is refused where the app is declared, and so is what is no question."""
    with pytest.raises(ValueError, match="app 'myengine': the question 'Which' names 'nope', which no report has"):
        App("myengine", questions=[Question("Which", "nope")])
    with pytest.raises(ValueError, match="app 'myengine': questions= must hold Question objects"):
        App("myengine", questions=["gpu_type"])


def test_an_app_without_questions_asks_for_hardware_versions_and_what_it_declares():
    """Each declared fact has one of its own, with its title; a variable by its own name, what heartbeats tell not."""
    app = App("myengine", facts=[
        Fact("kv_share", float, why="x"), Fact("kind", str, why="x", title="Kind of engine"), Fact("load", int, why="x", on="heartbeat"),
        EnvironmentFact("switches", [Fact("MYENGINE_FAST", bool, why="x")], why="x"),
    ])  # fmt: skip

    assert [(question.title, question.by) for question in app.questions if question.subject] == [
        ("Versions", ("myengine_version",)), ("Kv share", ("kv_share",)), ("Kind of engine", ("kind",)), ("MYENGINE_FAST", ("MYENGINE_FAST",)),
    ]  # fmt: skip
    assert next(question.by for question in app.questions) == ("gpu_type",)


def test_vllm_asks_for_each_of_its_facts_and_a_dozen_first():
    """No fact is collected that nobody asks for, and each title is one of its own."""
    titles = [question.title for question in APP.questions]

    assert set(askable(APP.facts_by_key.values())) == {key for question in APP.questions for key in question.by}
    assert len([question for question in APP.questions if question.subject is None]) == 12
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"title": ""}, "title= must be one line of text, a name for people"), ({"title": "a\nb"}, "title= must be one line of text, a name for people"),
        ({"public": True}, "public=True is for a closed set; name the strings that are public"), ({"public": "fair"}, 'public= must be a list of strings, such as ["fair"]'),
        ({"public": ["a", "a"]}, "public= has 'a' twice"), ({"public": [7]}, "public= must name strings only, and is for strings"),
    ],
)  # fmt: skip
def test_titles_and_public_names_are_checked(declared, problem):
    """Where the fact is declared."""
    with pytest.raises(ValueError, match="fact 'kind'") as caught:
        Fact("kind", str, why="x", **declared)

    assert str(caught.value) == f"fact 'kind': {problem}"




def test_public_names_stand_as_they_were_given():
    """A list, true for a closed set, or nothing said."""
    facts = [Fact("kind", str, why="x", public=["a", "b"]), Fact("kind", str, why="x", values=["a"], public=True), Fact("kind", bool, why="x", public=False), Fact("kind", str, why="x")]

    assert [fact.public for fact in facts] == [("a", "b"), True, False, None]
