"""Sums for a child, and whether an answer is right.

The functions keep nothing: the exercise comes back from the conversation, which survives the loss
of a worker.
"""

import operator
import random
import re
from typing import Literal, TypedDict

LARGEST = {1: 10, 2: 20, 3: 100}  # in the sums of each level
SIGNS = {"plus": operator.add, "minus": operator.sub, "times": operator.mul}
_EXERCISE = re.compile(r"(\d{1,3}) (plus|minus|times) (\d{1,3})")


class Exercise(TypedDict):
    exercise: str


class Verdict(TypedDict):
    right: bool
    exercise: str


def next_exercise(level: Literal[1, 2, 3] = 1) -> Exercise:
    """The next exercise to read out.

    Args:
        level: How hard it is: 1 to begin with, 3 at most.
    """
    largest = LARGEST[level]
    first, second = random.randint(2, largest), random.randint(2, largest)  # noqa: S311
    sign = random.choice(["plus", "minus", *(["times"] if level < 3 else [])])  # noqa: S311
    if sign == "minus" and first < second:
        first, second = second, first
    if sign == "times":
        second = min(second, 10)
    return {"exercise": f"{first} {sign} {second}"}


def check_answer(exercise: str, answer: int) -> Verdict | str:
    """Whether an answer is right. Use it for every answer.

    Args:
        exercise: The exercise exactly as it was read out, such as "3 plus 4".
        answer: What the child said.
    """
    found = _EXERCISE.search(exercise)
    if found is None:
        return 'That is no exercise of ours; give it as it was, such as "3 plus 4".'
    first, sign, second = found.groups()
    right = SIGNS[sign](int(first), int(second)) == answer
    return {"right": right, "exercise": found[0]}
