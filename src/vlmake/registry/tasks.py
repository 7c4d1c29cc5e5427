"""The tasks: what kind of answer a benchmark asks for. A task decides how prompts are laid out and answers are read."""

from typing import Literal, get_args

Task = Literal["yes_no", "multiple_choice", "vqa", "caption"]

TASKS: tuple[str, ...] = get_args(Task)

YES_NO = {"yes": "Yes", "no": "No", "是": "Yes", "否": "No"}
"""How right answers to yes-or-no questions are spelt, in lower case, and what they mean."""
