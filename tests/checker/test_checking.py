"""The ladder and what a student sees, rung by rung."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlcourse.checker import (
    authorship,
    check,
    expected_output,
    get,
    judge,
    lesson,
    lessons,
    released_output,
    whose,
)
from rlcourse.checker.cards import as_html
from rlcourse.checker.judging import judge_exercise


def discounted_return(rewards, gamma):
    return float(sum(gamma**t * r for t, r in enumerate(rewards)))


def named(name):
    """Give an answer the exercise's name, as a student's cell would."""

    def rename(function):
        function.__name__ = name
        return function

    return rename


def test_a_right_answer_is_one_green_line_and_is_kept(capsys):
    kept = check(discounted_return)
    assert kept is discounted_return
    assert capsys.readouterr().out == "✓ 0.1 discounted_return: right\n"
    assert authorship("discounted_return") == "your function"


def test_the_expected_output_is_what_a_right_answer_shows(capsys):
    check(discounted_return)
    assert capsys.readouterr().out.strip() == expected_output("discounted_return")["text/plain"]
    assert expected_output("discounted_return")["text/html"] == as_html(judge(discounted_return))


def test_what_is_released_says_that_nothing_was_run():
    shown = released_output("discounted_return")
    assert shown["text/plain"] == "○ 0.1 discounted_return: not run yet"
    assert "not run yet" in shown["text/html"] and "✓" not in shown["text/html"]


def test_a_demonstration_says_nothing_of_the_lesson(capsys):
    check("discounted_return")
    going_on = check(lambda rewards, gamma: float(sum(rewards)), name="discounted_return")
    shown = capsys.readouterr().out
    assert going_on is get("discounted_return").reference
    assert "undiscounted" in shown and "goes on" not in shown
    assert authorship("discounted_return") == "your function"


def test_whose_says_in_a_word_what_authorship_says(capsys):
    wrong_one = named("bootstrap_mask")(lambda terminated, truncated: 0.0)
    check(discounted_return), check(wrong_one)
    assert whose("discounted_return") == "your"
    assert whose("bootstrap_mask") == "the reference's"
    assert whose("discounted_return", "bootstrap_mask") == "partly your"


@pytest.mark.parametrize(
    ("line", "tried"),
    [
        ("return rewards[0] * gama", "Did you mean `gamma`?"),
        ("return flaot(gamma)", "Did you mean `float`?"),
        ("return total", "Define `total` in your function"),
    ],
)
def test_a_name_that_is_not_defined_is_read_as_what_it_may_mean(line, tried):
    names = {}
    exec(f"def discounted_return(rewards, gamma):\n    {line}", names)
    assert tried in wrong(names["discounted_return"]).instead


def test_a_wrong_answer_is_named_and_replaced_by_the_reference(capsys):
    @named("discounted_return")
    def answer(rewards, gamma):
        return float(sum(rewards))

    going_on = check(answer)
    shown = capsys.readouterr().out
    assert going_on is get("discounted_return").reference
    assert "undiscounted" in shown and "(0.1)" in shown and "reference" in shown
    assert authorship("discounted_return") == "the reference function"


def wrong(function, name="discounted_return"):
    verdict = judge(function, name)
    assert not verdict.ok
    return verdict


def test_rung_written():
    def stub(rewards, gamma):
        raise NotImplementedError("Exercise 0.1: discounted_return")

    assert wrong(stub).state == "not attempted"


def test_an_operation_that_is_not_implemented_is_an_attempt():
    def answer(logits):
        return torch.eye(3).to_sparse().amax(dim=1) * logits

    with pytest.raises(NotImplementedError):
        answer(torch.zeros(2, 3))
    verdict = wrong(answer, "softmax_policy")
    assert verdict.state == "failed" and "NotImplementedError" in verdict.explanation


def test_a_diverging_answer_is_compared_without_a_warning():
    verdict = wrong(lambda rewards, gamma: -1.7e308 if sum(rewards) > 0 else 1.7e308)
    assert verdict.rung == "values"


def test_rung_signature():
    assert wrong(lambda rewards: 1.0).rung == "signature"
    assert wrong(lambda rewards, gamma, more: 1.0).rung == "signature"
    assert wrong(3.0).rung == "signature"
    assert judge(
        lambda rewards, gamma, more=1: discounted_return(rewards, gamma), "discounted_return"
    ).ok


def test_rung_exception_quotes_the_line():
    verdict = wrong(lambda rewards, gamma: rewards[1000])
    assert verdict.rung == "exception"
    assert "IndexError" in verdict.explanation and "rewards[1000]" in verdict.explanation


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda r, g: None, "None"),
        (lambda r, g: "1.0", "one number"),
        (lambda r, g: [1.0], "a list of 1"),
        (lambda r, g: np.array([discounted_return(r, g)]), "shape (1,)"),
        (lambda r, g: np.nan, "finite"),
        (lambda r, g: True, "bool"),
        (lambda r, g: object(), "of type object"),
    ],
)
def test_rung_form(answer, said):
    verdict = wrong(answer)
    assert verdict.rung == "form"
    assert said in verdict.explanation


def test_rung_inputs():
    def answer(rewards, gamma):
        result = discounted_return(rewards, gamma)
        rewards *= 0
        return result

    verdict = wrong(answer)
    assert verdict.rung == "inputs" and "`rewards`" in verdict.explanation


def test_rung_values_says_how_and_where_but_no_numbers():
    verdict = wrong(lambda r, g: -discounted_return(r, g))
    assert "opposite sign" in verdict.explanation
    verdict = wrong(lambda r, g: discounted_return(r, g) if len(r) != 1 else 7.0)
    assert "one reward" in verdict.explanation
    verdict = wrong(lambda r, g: discounted_return(r, g) if r.dtype.kind == "f" else 7.0)
    assert "whole-number rewards" in verdict.explanation


def test_rung_time(monkeypatch):
    def answer(rewards, gamma):
        while True:
            pass

    verdict = judge(answer, "discounted_return", seconds=0.2)
    assert verdict.state == "failed" and verdict.rung == "time"


def test_rung_time_cannot_be_swallowed():
    def answer(rewards, gamma):
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    assert judge(answer, "discounted_return", seconds=0.2).rung == "time"


def test_rung_conduct_counts_resets():
    def run_episode(env, policy, rng):
        rewards, terminated = get("run_episode").reference(env, policy, rng)
        env.reset()
        return rewards, terminated

    verdict = wrong(run_episode, "run_episode")
    assert verdict.rung == "conduct" and "reset()" in verdict.explanation


def test_a_mistake_made_here_and_there_is_told_with_the_place():
    def n_step_return(rewards, v_boot, terminated, gamma):
        end = next((k for k, d in enumerate(terminated) if d), 0)
        if end:  # step 0 is as good as none
            return float(gamma ** np.arange(end + 1) @ rewards[: end + 1])
        return float(gamma ** np.arange(len(rewards) + 1) @ np.append(rewards, v_boot))

    verdict = wrong(n_step_return, "n_step_return")
    assert verdict.mistake == "ignores-termination"
    assert "exactly where: the first step ends the episode" in verdict.explanation


def test_a_function_that_remembers_is_told_so():
    def answer(rewards, gamma, total=[0.0]):  # noqa: B006 - this is the mistake
        for reward in reversed(rewards):
            total[0] = reward + gamma * total[0]
        return float(total[0])

    assert wrong(answer).headline == "not the same twice"


def test_printing_and_warnings_cost_nothing(capsys):
    @named("discounted_return")
    def answer(rewards, gamma):
        print("looking", rewards)
        np.log(np.zeros(1))
        return discounted_return(rewards, gamma)

    assert check(answer) is answer
    captured = capsys.readouterr()
    assert captured.out == "✓ 0.1 discounted_return: right\n" and captured.err == ""


def test_what_a_wrong_answer_printed_is_shown(capsys):
    @named("discounted_return")
    def answer(rewards, gamma):
        print("halfway there")
        return 0.5

    check(answer)
    assert "halfway there" in capsys.readouterr().out


def test_an_unknown_function_is_told_what_it_may_have_meant(capsys):
    @named("discounted_retrun")
    def answer(rewards, gamma):
        return 0.0

    assert check(answer) is answer
    assert "discounted_return" in capsys.readouterr().out
    assert check(3.0) == 3.0
    assert "wants the name of your function" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_verdict_and_others_other_cases():
    from rlcourse.checker.judging import cases_of

    exercise = get("discounted_return")
    first, again, other = (cases_of(exercise, seed)[0].inputs["rewards"] for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_an_equation_is_mathml_where_no_front_end_sets_latex(monkeypatch):
    for name in ("VSCODE_PID", "VSCODE_CWD", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)

    def undiscounted(rewards, gamma):
        return float(np.sum(rewards))

    wrong = judge(undiscounted, "discounted_return")
    assert "$$" in as_html(wrong) and "<math" not in as_html(wrong)
    monkeypatch.setenv("VSCODE_PID", "4711")
    assert "<math" in as_html(wrong) and "$" not in as_html(wrong)


def test_the_card_escapes_html():
    def answer(rewards, gamma):
        raise ValueError("<script>alert(1)</script>")

    answer.__name__ = "discounted_return"
    assert "<script>" not in as_html(judge(answer))


def _rows():
    """The exercises that ask for a row of numbers."""
    for number in lessons():
        for exercise in lesson(number):
            if exercise.returns.dtype == "row":
                yield exercise


def test_where_a_row_is_asked_for_an_array_is_as_good_as_a_tuple():
    exercises = list(_rows())
    assert "leave_or_stay" in [exercise.name for exercise in exercises]
    for exercise in exercises:
        reference = exercise.reference
        assert judge_exercise(lambda *x, f=reference: np.array(f(*x)), exercise).ok
        assert not judge_exercise(lambda *x, f=reference: np.array(f(*x))[:, None], exercise).ok
        assert not judge_exercise(lambda *x, f=reference: np.append(f(*x), 0.0), exercise).ok


def test_one_number_is_right_where_the_input_has_no_axis_more():
    right = get("entropy").reference
    assert judge_exercise(
        lambda p: np.asarray(right(p)), get("entropy")
    ).ok  # 0-d for one distribution
    assert judge_exercise(lambda p: float(right(p)) if p.ndim == 1 else right(p), get("entropy")).ok
    verdict = judge_exercise(lambda p: np.atleast_1d(right(p)), get("entropy"))
    assert (verdict.state, verdict.rung) == ("failed", "form")
