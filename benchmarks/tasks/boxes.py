"""Metrics of boxes: COCO's mean average precision, by pycocotools."""

import contextlib
import io
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgeport.benchmarks.tasks.metric import UP, Array, Floats, Metric, Weighted

_DETECTIONS = 100
_ANY_SIZE = [0.0, 1e10]
# COCO's sizes are pixels; ours are shares of the picture.
_SIDE = 1000.0


@dataclass(frozen=True, eq=False)
class _Matched:
    """The detections of one class on all samples, the most certain first, each matched to a true box or to none.

    Attributes:
        samples: Which sample each is on, of shape (detections,).
        hits: Whether it matches a true box, at each of 10 overlaps: bool of shape (10, detections).
        boxes: How many true boxes of the class each sample has, of shape (n,).
    """

    samples: npt.NDArray[np.int64]
    hits: npt.NDArray[np.bool_]
    boxes: Floats

    @cached_property
    def found(self) -> list[npt.NDArray[np.intp]]:
        """Which detections are hits, at each overlap."""
        return [np.flatnonzero(hits) for hits in self.hits]


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """What COCO's evaluation says of boxes.

    Attributes:
        precision: At each of 10 overlaps and 101 recalls, for each class: -1 where there is none.
        matched: What each class' detections match.
        recalls: The recalls.
    """

    precision: Floats
    matched: tuple[_Matched, ...]
    recalls: Floats


def _evaluated(truth: Array, answers: Array) -> _Evaluated:
    """Return COCO's evaluation of boxes; of the same boxes the same one, as it takes longer than all draws."""
    boxes = (np.ascontiguousarray(each, np.float64) for each in (truth, answers))
    return _evaluated_once(*((each.tobytes(), each.shape) for each in boxes))


@lru_cache(maxsize=4)
def _evaluated_once(*boxes: tuple[bytes, tuple[int, ...]]) -> _Evaluated:
    truth, answers = (np.frombuffer(content, np.float64).reshape(shape) for content, shape in boxes)
    evaluation = _matches(truth, answers)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    classes = range(len(evaluation.params.catIds))
    matched = tuple(_matched(evaluation, place, len(truth)) for place in classes)
    return _Evaluated(evaluation.eval["precision"], matched, np.asarray(evaluation.params.recThrs))


def _matches(truth: Array, answers: Array) -> COCOeval:
    """Return COCO's evaluation of boxes, up to the matches of each sample."""
    true = _records(truth)
    given = _records(answers[..., [0, 2, 3, 4, 5]], answers[..., 1])
    classes = sorted({each["category_id"] for each in true})
    # It prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        ground, found = COCO(), COCO()
        for side, records in ((ground, true), (found, given)):
            side.dataset = {
                "images": [{"id": place} for place in range(len(truth))],
                "categories": [{"id": each} for each in classes],
                "annotations": [each for each in records if each["category_id"] in classes],
            }
            side.createIndex()
        evaluation = COCOeval(ground, found, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [_ANY_SIZE], ["all"]
        evaluation.params.maxDets = [_DETECTIONS]
        evaluation.evaluate()
    return evaluation


def _records(boxes: Array, scores: Array | None = None) -> list[dict[str, Any]]:
    """Return boxes of (n, boxes, 5) as COCO's annotations."""
    records: list[dict[str, Any]] = []
    for place, row in np.argwhere(boxes[..., 0] >= 0).tolist():
        category, top, left, bottom, right = (float(each) for each in boxes[place, row])
        width, height = (right - left) * _SIDE, (bottom - top) * _SIDE
        record = {
            "id": len(records) + 1,
            "image_id": place,
            "category_id": int(category),
            "bbox": [left * _SIDE, top * _SIDE, width, height],
            "area": width * height,
            "iscrowd": 0,
        }
        records.append(record if scores is None else {**record, "score": float(scores[place, row])})
    return records


def _value(truth: Array, answers: Array, *, overlaps: slice) -> float:
    precision = _evaluated(truth, answers).precision[overlaps]
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")


def _weighted(truth: Array, answers: Array, *, overlaps: slice) -> Weighted:
    evaluated = _evaluated(truth, answers)
    matched, recalls = evaluated.matched, evaluated.recalls

    def mean(weights: Floats) -> float:
        found = [_average_precisions(each, weights, recalls, overlaps) for each in matched if weights @ each.boxes]
        return float(np.mean(found)) if found else float("nan")

    return mean


def _matched(evaluation: COCOeval, category: int, count: int) -> _Matched:
    of_samples = evaluation.evalImgs[category * count : (category + 1) * count]
    boxes = np.array([len(each["gtIds"]) if each else 0 for each in of_samples], np.float64)
    present = [(place, each) for place, each in enumerate(of_samples) if each and each["dtScores"]]
    if not present:
        overlaps = len(evaluation.params.iouThrs)
        return _Matched(np.zeros(0, np.int64), np.zeros((overlaps, 0), np.bool_), boxes)
    scores = np.concatenate([each["dtScores"] for _, each in present])
    order = np.argsort(-scores, kind="mergesort")
    samples = np.concatenate([np.full(len(each["dtScores"]), place) for place, each in present])
    hits = np.concatenate([each["dtMatches"] for _, each in present], axis=1) > 0
    return _Matched(samples[order], hits[:, order], boxes)


def _average_precisions(matched: _Matched, weights: Floats, recalls: Floats, overlaps: slice) -> Floats:
    """Return the average precision of one class at each overlap: the mean of the precision at 101 recalls."""
    drawn = weights[matched.samples]
    count, given = weights @ matched.boxes, np.maximum(np.cumsum(drawn), np.spacing(1))
    averages = []
    for at in matched.found[overlaps]:
        # Precision falls wherever there is no hit, so the best one at or beyond a recall is at a hit.
        true = np.cumsum(drawn[at])
        recall, precision = true / count, true / given[at]
        # At each recall, the best precision there or beyond.
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(recall, recalls, side="left")
        reached = places < len(recall)
        averages.append(envelope[places[reached]].sum() / len(recalls))
    return np.array(averages)


def _metric(name: str, overlaps: slice) -> Metric:
    return Metric(name, UP, partial(_value, overlaps=overlaps), partial(_weighted, overlaps=overlaps))


# Truth is (n, boxes, 5): a class, then top, left, bottom and right as shares of the picture. Answers are (n, boxes, 6),
# with a score behind the class. Rows of class -1 fill up.
BOX_MAP = _metric("mAP", slice(None))
BOX_MAP50 = _metric("mAP50", slice(0, 1))
