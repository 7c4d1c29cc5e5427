"""Training does what evaluation will see."""

import dataclasses
import json
import random

import pytest

from training.questions import SKILLS, applies, ask
from training.scenes import BENCHMARK_SEEDS, TRAIN_SEEDS, draw, layout
from training.stages import FOCUS, STAGES
from training.wording import PROBE_CLASSES


def test_probes_end_where_a_token_ends(model_folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    seen = set()
    for seed in TRAIN_SEEDS[:150]:
        scene, rng = layout(seed), random.Random(seed)
        for question in (ask(skill, scene, rng) for skill in SKILLS if applies(skill, scene)):
            spans = tokenizer(question.text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
            ends = {end for _, end in spans}
            for probe in question.probes:
                assert probe.end in ends
                assert 0 <= probe.label < PROBE_CLASSES[probe.kind]
                seen.add(probe.kind)
    assert seen == PROBE_CLASSES.keys()


def test_a_packed_question_reads_as_it_would_alone(model_folder):
    """Mask and positions of a packed batch give the logits that one question alone gets."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from training.batches import PREFIX, packed_batch
    from training.stages import hidden_states

    processor = AutoProcessor.from_pretrained(model_folder, backend="pil")
    model = AutoModelForImageTextToText.from_pretrained(
        model_folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    scene_seed = BENCHMARK_SEEDS[-1]
    batch = packed_batch([scene_seed], processor.tokenizer, FOCUS.weights, 4, 1.0)
    starts = [i for i, p in enumerate(batch.positions[0, PREFIX:].tolist()) if p == PREFIX]
    assert len(starts) == 4
    with torch.inference_mode():
        packed = model.lm_head(hidden_states(model, batch)[-1])[0]
        for start, end in zip(starts, [*starts[1:], batch.tokens.shape[1]], strict=True):
            first_answer = start + int((batch.labels[0, start:end] >= 0).nonzero()[0])
            text = processor.tokenizer.decode(batch.tokens[0, start : first_answer - 1])
            content = [{"type": "image", "image": draw(layout(scene_seed))}, {"type": "text", "text": text}]
            alone = processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
            torch.testing.assert_close(packed[first_answer], model(**alone).logits[0, -1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("resume", [False, True])
def test_stages_leave_a_loadable_model_and_resuming_skips_what_is_done(tmp_path, resume, monkeypatch):
    from training import train as program

    monkeypatch.setattr("training.tokenizer._CORPUS_SCENES", 300)
    stages = [dataclasses.replace(stage, steps=2, images=2) for stage in STAGES]
    ran = []
    run_stage = program.run_stage
    monkeypatch.setattr(program, "run_stage", lambda out, stage: (ran.append(stage.name), run_stage(out, stage)))
    program.train(tmp_path, stages[:2] if resume else stages)
    if resume:
        program.train(tmp_path, stages, resume=True)
    assert ran == [stage.name for stage in STAGES]
    facts = json.loads((tmp_path / "training.json").read_text())
    assert [stage["name"] for stage in facts["stages"]] == ran
    assert facts["parameters"] > 1_000_000
