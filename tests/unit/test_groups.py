"""Groups of samples: read with the data or from a file, drawn whole, and of anomalies judged by their mean."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_judged_report import VALUES, measured

from edgeport.benchmarks.measure.any_model import Evaluation, evaluation_of
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.judging import change_between
from edgeport.benchmarks.report.raw.packed import packed
from edgeport.benchmarks.report.raw.record import JudgedOutput
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.train.datasets.data import Data, Part, divided
from edgeport.train.datasets.named import load_data

COUNT, MACHINES = 400, 40
RANDOM = np.random.default_rng(0)
GROUPS = RANDOM.permutation(np.repeat(np.arange(MACHINES), COUNT // MACHINES))
BROKEN = (np.arange(MACHINES) % 2)[GROUPS]
REFERENCE = (BROKEN * 0.3 + RANDOM.normal(0, 1, COUNT))[:, None]
OTHER = REFERENCE + RANDOM.normal(0, 0.5, (COUNT, 1))
REPORT = replace(
    VALUES,
    judged=(JudgedOutput("error", "anomaly", targets=packed(BROKEN)),),
    artefacts=(measured("m.keras", "float32", 300, REFERENCE), measured("m.int8.onnx", "int8", 20, OTHER)),
    groups=[int(each) for each in GROUPS],
)


def mean_of(answers: np.ndarray) -> np.ndarray:
    return np.array([answers[each == GROUPS].mean() for each in range(MACHINES)])


def test_an_anomaly_of_a_group_is_judged_by_the_mean_of_its_scores() -> None:
    true = np.arange(MACHINES) % 2
    auc = findings_of(REPORT).candidates[1].judged[0].changes[0]
    assert auc.count == MACHINES
    assert auc.reference == pytest.approx(roc_auc_score(true, mean_of(REFERENCE)), abs=1e-9)
    assert auc.other == pytest.approx(roc_auc_score(true, mean_of(OTHER)), abs=1e-9)
    alone = findings_of(replace(REPORT, groups=[])).candidates[1].judged[0].changes[0]
    assert alone.reference == pytest.approx(roc_auc_score(BROKEN, REFERENCE), abs=1e-9)
    assert alone.reference < auc.reference
    between = change_between(REPORT, *REPORT.artefacts)
    assert between is not None
    assert (between.reference, between.high) == (auc.reference, auc.high)


ARRAYS: dict[str, Any] = {"x": np.zeros((6, 2), np.float32), "y": np.arange(6), "speaker": np.array([*"aabbcc"])}


def test_groups_are_an_array_of_the_data_by_its_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **ARRAYS)
    (part,) = load_data(str(tmp_path / "d.npz"), groups="speaker").parts.values()
    assert part.groups is not None
    assert "".join(part.groups) == "aabbcc"
    assert load_data(str(tmp_path / "d.npz")).parts[ALL].groups is None
    split = {f"{name}_{part}": array for name, array in ARRAYS.items() for part in ("train", "test")}
    np.savez(tmp_path / "s.npz", **split)
    parts = load_data(str(tmp_path / "s.npz"), groups="speaker").parts
    assert [each.groups is not None for each in parts.values()] == [True, True]


def test_groups_are_a_column_of_a_table_that_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("who,a,b,price\nann,1,2,3.5\nbob,4,5,6.5\n")
    port = Input("x", (None, 2), "float32", kind="real")
    (part,) = load_data(f"{tmp_path / 'd.csv'}:price", inputs=[port], groups="who").parts.values()
    np.testing.assert_array_equal(part.inputs["x"], [[1, 2], [4, 5]])
    np.testing.assert_array_equal(part.targets, np.float32([3.5, 6.5]))
    np.testing.assert_array_equal(part.groups, ["ann", "bob"])
    (tmp_path / "d.csv").write_text("who,a,b\n,1,2\n")
    with pytest.raises(InputError, match="line 2: got no who, expected a group in each row"):
        load_data(str(tmp_path / "d.csv"), groups="who")


@pytest.mark.parametrize("name", ["g.npy", "g.txt"])
def test_groups_are_a_file_of_their_own(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **ARRAYS)
    if name == "g.npy":
        np.save(tmp_path / name, np.arange(6) // 3)
    else:
        (tmp_path / name).write_text("a\na\na\nb\nb\nb\n")
    (part,) = load_data(str(tmp_path / "d.npz"), groups=str(tmp_path / name)).parts.values()
    assert [int(each) for each in np.unique(part.groups, return_inverse=True)[1]] == [0, 0, 0, 1, 1, 1]
    np.savez(tmp_path / "d.npz", x=np.zeros((5, 2), np.float32))
    with pytest.raises(InputError, match=r"--group-by: got 6 groups in .*, expected 5, one for each sample"):
        load_data(str(tmp_path / "d.npz"), groups=str(tmp_path / name))


def test_groups_stay_with_their_samples_when_these_are_divided() -> None:
    x = np.arange(200, dtype=np.float32)[:, None]
    data = divided(Data("d", {ALL: Part({ONLY: x}, np.arange(200) % 2, np.arange(200) // 2)}))
    for part in data.parts.values():
        assert part.groups is not None
        np.testing.assert_array_equal(part.groups, part.inputs[ONLY][:, 0] // 2)


@pytest.mark.parametrize("streamed", [False, True])
def test_whole_groups_are_divided(streamed: bool) -> None:
    x = np.arange(400, dtype=np.float32)[:, None]
    whole = Data("d", {ALL: Part({ONLY: x}, BROKEN, GROUPS)}, streamed=streamed)
    parts = divided(whole, anyhow=True).parts
    found = [set(part.groups.tolist()) for part in parts.values() if part.groups is not None]
    assert [len(each) for each in found] == [32, 4, 4]
    assert len(set.union(*found)) == MACHINES
    # As many broken machines as others in each part.
    assert [float(part.targets.mean()) for part in parts.values() if part.targets is not None] == [0.5] * 3
    # Who has trained without knowing the groups has seen some samples of each.
    apart = divided(whole, anyhow=True, by_group=False).parts
    assert len(set(apart["train"].groups.tolist()) & set(apart["test"].groups.tolist())) > 10  # type: ignore[union-attr]


def test_few_groups_are_left_as_they_are() -> None:
    data = Data("d", {ALL: Part({ONLY: np.zeros((60, 1), np.float32)}, np.arange(60) % 2, np.arange(60) // 20)})
    assert divided(data, anyhow=True).parts.keys() == {ALL}


def evaluated(groups: np.ndarray, kind: str = "anomaly") -> Evaluation:
    data = Data("d.npz", {ALL: Part({ONLY: np.zeros((6, 2), np.float32)}, np.array([0, 0, 1, 1, 0, 0]), groups)})
    port, output = Input("x", (None, 2), "float32", kind="real"), Output("error", (None, 1), "float32", kind=kind)
    return evaluation_of(data, [port], [output])


def test_groups_are_numbered_and_said() -> None:
    evaluation = evaluated(np.array([*"ccaabb"]))
    assert evaluation.groups == (2, 2, 0, 0, 1, 1)
    assert evaluation.words[-1] == "The samples are in 3 groups, which are drawn whole"


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda path: load_data(path, groups="speakr"), "unknown array of groups 'speakr'.*speaker"),
        (lambda path: evaluated(np.zeros(6)), "--group-by: got one group alone in d.npz, expected at least 2"),
        (lambda path: evaluated(np.array([*"aaabbb"])), "the samples of the group a are both normal and anomalous"),
        (lambda path: load_data("mnist-5k", groups="speaker"), "got speaker, and mnist-5k has no such column or array"),
        (
            lambda path: load_data(path, groups="x"),
            r"--group-by: got x of float32 \(6, 2\), expected a name or a number a sample",
        ),
    ],
)
def test_groups_that_cannot_be_are_refused_in_one_line(read: Any, expected: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **ARRAYS)
    with pytest.raises(InputError, match=expected) as caught:
        read(str(tmp_path / "d.npz"))
    assert "\n" not in str(caught.value)
    assert evaluated(np.array([*"aaabbb"]), "yes-no").groups == (0, 0, 0, 1, 1, 1)
