"""Which benchmark a task of lm-eval or lmms-eval is, and which field of its log holds the benchmark's own index.

A field is named by its path in one line of the log. Several are tried in order, because releases differ: older ones of
lmms-eval keep the document, newer ones only what the task's own metrics say about it. A task without a field is the
same benchmark whose rows carry another key there, or none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoggedTask:
    """The benchmark behind a task, the fields that may hold its index, and why there is none."""

    dataset: str
    index: tuple[str, ...] = ()
    why: str = "its log holds no field that is known to be the benchmark's index"


_MMBENCH = ("doc.index", "submission.index", "gpt_eval_score.index")
_OWN_NUMBERS = "its log numbers the questions otherwise than the benchmark's file"

TASKS = {
    "mme": LoggedTask("MME", (), "its question_id names a picture, and a picture has two questions"),
    "pope": LoggedTask("POPE", (), "its question_id starts again in every category"),
    "mmbench_en_dev": LoggedTask("MMBench_DEV_EN", _MMBENCH),
    "mmbench_cn_dev": LoggedTask("MMBench_DEV_CN", _MMBENCH),
    "mmbench_en_test": LoggedTask("MMBench_TEST_EN", _MMBENCH),
    "mmbench_cn_test": LoggedTask("MMBench_TEST_CN", _MMBENCH),
    "mmbench_cn_cc": LoggedTask("CCBench", _MMBENCH),
    "mmstar": LoggedTask("MMStar", ("doc.index", "average.question_id")),
    "mmmu_val": LoggedTask("MMMU_DEV_VAL", (), _OWN_NUMBERS),
    "mmmu_test": LoggedTask("MMMU_TEST", (), _OWN_NUMBERS),
    "seedbench": LoggedTask("SEEDBench_IMG", (), _OWN_NUMBERS),
    "ai2d": LoggedTask("AI2D_TEST"),
    "scienceqa_img": LoggedTask("ScienceQA_TEST"),
    "realworldqa": LoggedTask("RealWorldQA"),
    "hallusion_bench_image": LoggedTask("HallusionBench", (), _OWN_NUMBERS),
    "textvqa_val": LoggedTask("TextVQA_VAL", (), _OWN_NUMBERS),
    "chartqa": LoggedTask("ChartQA_TEST"),
    "docvqa_val": LoggedTask("DocVQA_VAL", (), _OWN_NUMBERS),
    "infovqa_val": LoggedTask("InfoVQA_VAL", (), _OWN_NUMBERS),
    "ocrbench": LoggedTask("OCRBench"),
    "vizwiz_vqa_val": LoggedTask("VizWiz", (), _OWN_NUMBERS),
    "mmvet": LoggedTask("MMVet", (), _OWN_NUMBERS),
    "mathvista_testmini": LoggedTask("MathVista_MINI", (), _OWN_NUMBERS),
}
"""Tasks by their name in a log's file name."""
