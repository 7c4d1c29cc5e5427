"""The shipped weights do what their card says."""

import pytest

from training.card import read_card
from training.questions import SKILLS

PER_SKILL = 24
TOLERANCE = 3.0
MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def scores(model_folder):
    import torch

    from training.evaluate import Answerer, held_out_questions, score

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield score(Answerer(model_folder), held_out_questions(PER_SKILL))
    torch.set_num_threads(threads)


def test_the_card_names_every_skill(model_folder):
    card = read_card(model_folder)
    assert card.keys() == {*SKILLS, "overall"}
    assert card["overall"][1] == sum(asked for skill, (_, asked) in card.items() if skill != "overall")


def test_held_out_accuracy_reaches_the_card(scores, model_folder):
    asked = sum(line.asked for line in scores)
    accuracy = 100 * sum(line.right for line in scores) / asked
    assert asked >= 300
    assert accuracy >= read_card(model_folder)["overall"][0] - TOLERANCE


def test_every_skill_is_near_its_card(scores, model_folder):
    card = read_card(model_folder)
    low = {line.skill: line.accuracy for line in scores if line.accuracy < card[line.skill][0] - 20}
    assert not low


def test_weights_are_small(model_folder):
    assert (model_folder / "model.safetensors").stat().st_size <= MAX_BYTES
