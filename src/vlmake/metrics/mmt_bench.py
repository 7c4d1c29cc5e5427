"""MMT-Bench: multiple choice over 162 subtasks in 32 groups."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Cell, Metric, Overall, ScoreTable, equal_hits, in_order, in_sorted_order, mean

SHORT_NAMES = {
    "visual_recognition": "VR",
    "localization": "Loc",
    "ocr": "OCR",
    "counting": "Count",
    "hallucination": "HLN",
    "image_retrieval": "IR",
    "threed": "3D",
    "visual_captioning": "VC",
    "visual_grounding": "VG",
    "doc_understanding": "DU",
    "action_recognition": "AR",
    "pixel_level_perception": "PLP",
    "image-to-image_translation": "I2IT",
    "relation_reasoning": "RR",
    "intelligence_quotient_test": "IQT",
    "emotion": "Emo",
    "visual_illusion": "VI",
    "meme_understanding": "MemU",
    "visual_prompt_understanding": "VPU",
    "anomaly_detection": "AND",
    "keypoint_detection": "KD",
    "visual_commonsense_reasoning": "VCR",
    "image_evaluation_judgement": "IEJ",
    "multiple_image_analysis": "MIA",
    "cross_image_matching": "CIM",
    "temporal_understanding": "TU",
    "visual_code": "VP",
    "medical_understanding": "MedU",
    "autonomous_driving": "AUD",
    "discipline_knowledge_reasoning": "DKR",
    "embodied_ai": "EA",
    "gui_navigation": "GN",
}
"""The groups (column ``l2-category``) by the names and in the order of the benchmark's table."""

ALL = "ALL"
"""The row over every split."""


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return fractions: one row a split and ``ALL``; columns Overall, the groups, then the subtasks, sorted.

    A subtask is the mean of its rows, a group the unweighted mean of its subtasks' means. Groups that no row belongs to
    have no column (VLMEvalKit makes no table then) and are listed as missing.

    Source: Ying et al. 2024 (arXiv 2404.16006); names and means as VLMEvalKit has them.
    """
    hits = np.asarray(judged["hit"], dtype=np.float64)
    tasks, groups = (_members(judged, column) for column in ("category", "l2-category"))
    splits = _members(judged, "split") | {ALL: np.ones(len(judged), bool)}
    present = [group for group in SHORT_NAMES if group in groups]
    rows: list[list[Cell]] = []
    for split, here in splits.items():
        means = {task: mean(hits[here & rows_of]) for task, rows_of in tasks.items()}
        of_group = [
            [means[task] for task, rows_of in tasks.items() if (here & rows_of & groups[group]).any()]
            for group in present
        ]
        rows.append([split, mean(hits[here]), *map(mean, of_group), *means.values()])
    columns = ["split", "Overall", *(SHORT_NAMES[group] for group in present), *tasks]
    missing = tuple(group for group in SHORT_NAMES if group not in groups)
    return ScoreTable(columns, rows, Overall("Overall", mean(hits), len(judged)), missing=missing)


def _members(judged: pd.DataFrame, column: str) -> "dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]":
    order = in_order(judged, column) if column == "split" else in_sorted_order(judged, column)
    return {str(value): (judged[column] == value).to_numpy() for value in order}


METRIC = Metric(hits=equal_hits, table=table)
