"""A small byte-level BPE whose characters stay apart and whose fixed phrases are one token each."""

import random
from collections.abc import Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.questions import SKILLS, applies, ask, caption
from training.scenes import TRAIN_SEEDS, layout
from training.wording import CAPTION_REQUEST, CHOICE_CLOSING, COUNT_HINT, SHORT_ANSWER_SUFFIX, YES_NO_SUFFIX

IMAGE_TOKEN = "<image>"
SPECIAL_TOKENS = ("<pad>", "<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", IMAGE_TOKEN)
PAD_ID, BOS_ID, END_ID, USER_ID, ASSISTANT_ID = range(5)
PHRASES = (
    YES_NO_SUFFIX,
    SHORT_ANSWER_SUFFIX,
    CHOICE_CLOSING,
    CAPTION_REQUEST,
    f"Hint: {COUNT_HINT}\n",
    "Question: ",
    "\nOptions:\n",
    " in the image?",
    *(f"{letter}. " for letter in "ABCD"),
)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_CORPUS_SCENES = 2000
_MAX_VOCABULARY = 640


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Train the tokenizer on questions and answers of the first training scenes."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r" ?[A-Z]?[a-z]+|[A-Z0-9]|\s+|[^A-Za-z0-9\s]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_MAX_VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens(list(PHRASES))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<|end|>",
        padding_side="left",
        model_max_length=1024,
        extra_special_tokens={"image_token": IMAGE_TOKEN},
    )


def _corpus() -> Iterator[str]:
    for seed in TRAIN_SEEDS[:_CORPUS_SCENES]:
        scene, rng = layout(seed), random.Random(seed)
        for question in [caption(scene, rng), *(ask(s, scene, rng) for s in SKILLS if applies(s, scene))]:
            yield question.text
            yield question.answer
            yield from question.options.values()
