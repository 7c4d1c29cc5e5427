"""What became of a sample: the statuses of a prediction, the good one first."""

from typing import Literal, get_args

Status = Literal["ok", "empty", "truncated", "refused", "bad_image", "model_error"]
STATUSES: tuple[Status, ...] = get_args(Status)
