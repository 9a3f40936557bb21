"""Which part of an output is the prediction: the clear ones are read, the others are refused with the tag to set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.models.worker.errors import ModelError
from tasks.models.worker.outputs import positive_number, prediction

P = np.array([0.1, 0.9, 0.4])
Q = 1 - P
BOTH = np.column_stack([Q, P])


def read(output: Any, task: str = "binary", **tags: str) -> list[Any]:
    return list(prediction(output, 3, task, tags))


def refused(output: Any, task: str = "binary", **tags: str) -> str:
    with pytest.raises(ModelError) as error:
        prediction(output, 3, task, tags)
    return str(error.value)


class TestClear:
    @pytest.mark.parametrize(
        "output",
        [
            P, P[:, None], P.tolist(), [[p] for p in P], tuple(P), pd.Series(P), pd.Series(P, name="score"), pd.DataFrame({"y": P}),
            {"score": P}, {"score": P[:, None]}, [{"score": p} for p in P], pd.DataFrame({"y": [[p] for p in P]}),
            pd.DataFrame({0: Q, 1: P}), pd.DataFrame(BOTH), pd.DataFrame({"1": P, "0": Q}), pd.DataFrame({False: Q, True: P}),
            {"0": Q, "1": P}, [{0: q, 1: p} for q, p in BOTH], pd.DataFrame({0.0: Q, 1.0: P}), pd.Series(P, dtype="Float64"),
        ],
    )  # fmt: skip
    def test_one_column_or_two_named_by_the_classes_0_and_1(self, output: Any) -> None:
        assert read(output) == pytest.approx(P)
        assert prediction(output, 3, "binary", {}).dtype == np.float64

    def test_the_tag_names_or_numbers_the_column(self) -> None:
        frame = pd.DataFrame({"score": P, "label": [0, 1, 0], "2": Q})
        assert read(frame, score_column="score") == pytest.approx(P)
        assert read(frame, score_column="2") == pytest.approx(Q)
        assert read(frame, score_column="1") == [0.0, 1.0, 0.0]
        assert read(BOTH, score_column="1") == pytest.approx(P)
        assert read(BOTH[:, ::-1], score_column="0") == pytest.approx(P)
        assert read(P, score_column="0") == pytest.approx(P)
        assert read(frame, "regression", score_column="score") == pytest.approx(P)
        assert read(frame, "multiclass", score_column="label") == [0, 1, 0]

    def test_the_tag_names_the_class_of_a_column(self) -> None:
        assert read(pd.DataFrame({"no": Q, "yes": P}), positive_class="yes") == pytest.approx(P)
        assert read([{"no": q, "yes": p, "maybe": 0.0} for q, p in BOTH], positive_class="yes") == pytest.approx(P)

    def test_an_entry_of_several_columns_is_named_by_its_entry_and_column(self) -> None:
        onnx = {"label": np.array([0, 1, 0]), "probabilities": BOTH}
        assert read(onnx, score_column="probabilities[1]") == pytest.approx(P)
        zipmap = {"label": ["no", "yes", "no"], "probability": [{"no": q, "yes": p} for q, p in BOTH]}
        assert read(zipmap, score_column="probability[yes]") == pytest.approx(P)
        cells = pd.DataFrame({"label": [0, 1, 0], "p": BOTH.tolist()})
        assert read(cells, score_column="p[1]") == pytest.approx(P)

    def test_predicted_classes_are_1_where_they_are_the_tags(self) -> None:
        assert read(["no", "yes", "no"], positive_class="yes") == [0.0, 1.0, 0.0]
        assert read([1, 2, 1], positive_class="2") == [0.0, 1.0, 0.0]
        assert read(np.array([1.0, 2.0, 1.0]), positive_class="2") == [0.0, 1.0, 0.0]
        assert read([True, False, True], positive_class="True") == [1.0, 0.0, 1.0]
        assert read(P, positive_class="1") == pytest.approx(P)

    def test_labels_stay_what_they_are_where_classes_are_asked_for(self) -> None:
        assert read(["cat", "dog", "cat"], "multiclass") == ["cat", "dog", "cat"]
        assert read(np.array([[2], [3], [2]]), "multiclass") == [2, 3, 2]


class TestOrder:
    def test_rows_that_come_back_in_another_order_are_put_back_by_their_index(self) -> None:
        shuffled = pd.Series(P).sort_values(ascending=False)
        assert read(shuffled) == pytest.approx(P)
        assert read(shuffled.to_frame("score")) == pytest.approx(P)
        assert read({"score": shuffled}) == pytest.approx(P)

    @pytest.mark.parametrize("index", [["a", "b", "c"], [1, 2, 2], [3, 4, 9], [2.0, 1.0, 0.0]])
    def test_an_index_that_is_not_the_inputs_is_refused(self, index: list[Any]) -> None:
        said = refused(pd.Series(P, index=index))
        assert said.startswith(
            f"gave an output with the index {pd.Index(index)[0]!r}, ..., which is not that of its input; give its rows"
        )

    def test_a_plain_range_tells_of_no_order(self) -> None:
        assert read(pd.Series(P, index=pd.RangeIndex(10, 13))) == pytest.approx(P)


class TestAmbiguous:
    def test_two_columns_without_names_are_refused_with_both_readings(self) -> None:
        sentence = (
            "gave two columns without names, and either may be the score: column 0 (0.9 in the first row) or column 1 (0.1); "
            "set the tag 'score_column' to 0 or to 1"
        )
        assert refused(BOTH) == sentence
        assert refused(BOTH.tolist()) == sentence
        assert refused(BOTH, positive_class="yes") == sentence

    def test_columns_whose_names_do_not_tell(self) -> None:
        sentence = "gave the columns 'score', 'label', and either may be the score; set the tag 'score_column' to the name of the right one"
        assert refused(pd.DataFrame({"score": P, "label": [0, 1, 0]})) == sentence
        assert refused([{"score": p, "label": 1} for p in P]) == sentence
        assert refused(pd.DataFrame({"no": Q, "yes": P})).startswith(
            "gave the columns 'no', 'yes', and either may be the score"
        )
        assert refused({"a": P, "b": P, "c": P}, "regression").startswith(
            "gave the columns 'a', 'b', 'c', and each may be the number"
        )

    def test_a_tag_that_names_what_is_not_there(self) -> None:
        assert refused(pd.DataFrame({"a": P, "b": Q}), score_column="c") == (
            "gave the columns 'a', 'b', and its tag 'score_column' is 'c'; set it to one of them, or remove it"
        )
        assert refused(BOTH, score_column="2").startswith(
            "gave columns without names, 0 to 1, and its tag 'score_column' is '2'"
        )
        assert refused(P, score_column="score").startswith(
            "gave one column without a name, 0, and its tag 'score_column' is 'score'"
        )
        said = refused(pd.DataFrame({"no": Q, "yes": P}), positive_class="Yes")
        assert said.startswith(
            "gave the columns 'no', 'yes', and its tag 'positive_class' is 'Yes', and either may be the score; set"
        )

    def test_a_class_for_what_are_scores(self) -> None:
        assert refused(P, positive_class="yes") == (
            "gave numbers such as 0.1, and its tag 'positive_class' is 'yes'; remove the tag if they are scores"
        )
        assert refused(["yes", None, "no"], positive_class="yes").startswith(
            "gave None (row 1 of a chunk), which is no class"
        )

    @pytest.mark.parametrize(
        "classes", [[1, 2, 1], [1.0, 2.0, 1.0], np.array([1, 2, 1], dtype=np.uint8), [[1], [2], [1]]]
    )
    def test_classes_that_are_not_0_and_1_where_scores_are_asked_for(self, classes: Any) -> None:
        assert refused(classes) == (
            "gave the number 2 (row 1 of a chunk), which is no score, and may be a class; "
            "set the tag 'positive_class' to the class that counts as 1, or give scores from 0 to 1"
        )
        assert read(classes, positive_class="2") == [0.0, 1.0, 0.0]
        assert read(classes, "regression") == [1.0, 2.0, 1.0]

    @pytest.mark.parametrize(
        "output", [[0, 1, 1], [0.0, 1.0, 0.0], [2.0, 0.5, 1.0], [2.0, np.nan, 1.0], [1.0, np.inf, 0.0]]
    )
    def test_other_numbers_are_no_classes(self, output: list[float]) -> None:
        assert repr(read(output)) == repr(list(np.asarray(output, dtype=float)))

    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            ([[0.1], [0.2, 0.3], [0.1]], "gave lists of different lengths as its output; one score per row is needed"),
            ([{"a": 1}, {"b": 1}, {"a": 1}], "gave a dict per row, and that of row 1 has other keys than the first; give every row"),
            ([{"a": 1}], "gave an output of shape (1,) for 3 rows; one score per row is needed"),
            ({}, "gave an output of shape (3, 0) for 3 rows; one score per row is needed"),
            (None, "gave an output of shape () for 3 rows; one score per row is needed"),
            (P[None, :], "gave an output of shape (1, 3) for 3 rows; one score per row is needed"),
            (pd.Series(P[:2]), "gave an output of shape (2,) for 3 rows; one score per row is needed"),
            (np.ones((3, 4)), "gave an output of shape (3, 4) for 3 rows; one score per row is needed: set the tag 'score_column' to"),
            (pd.DataFrame({("a", "b"): P}), "gave a data frame with several levels of names; give its columns one name each"),
        ],
    )  # fmt: skip
    def test_what_has_no_entry_per_row(self, output: Any, sentence: str) -> None:
        assert refused(output).startswith(sentence)


class TestClasses:
    @pytest.mark.parametrize(
        "classes", [[0, 1], [False, True], [0.0, 1.0], ["0", "1"], np.array([0, 1], dtype=np.int8)]
    )
    def test_of_0_and_1_it_is_1(self, classes: Any) -> None:
        assert positive_number(list(classes), {}) == 1
        assert positive_number(list(classes)[::-1], {}) == 0

    @pytest.mark.parametrize("classes", [[1, 2], ["no", "yes"], [-1, 1], [0, 1, 2]])
    def test_of_others_the_tag_says_which(self, classes: list[Any]) -> None:
        with pytest.raises(ModelError) as error:
            positive_number(classes, {})
        listed = ", ".join(map(str, classes))
        assert str(error.value) == (
            f"has the classes {listed}; set the tag 'positive_class' to the one whose probability is the score, "
            "or register a binary model with the classes 0 and 1"
        )
        for i, name in enumerate(classes):
            assert positive_number(classes, {"positive_class": str(name)}) == i

    def test_a_tag_that_names_no_class_or_another_one_than_the_other_tag(self) -> None:
        with pytest.raises(
            ModelError, match="has the classes no, yes, and its tag 'positive_class' is 'ja'; set it to one of them"
        ):
            positive_number(["no", "yes"], {"positive_class": "ja"})
        with pytest.raises(
            ModelError, match="tags 'score_column' 0 and 'positive_class' yes, which are different classes; remove one"
        ):
            positive_number(["no", "yes"], {"positive_class": "yes", "score_column": "0"})
        assert positive_number(["no", "yes"], {"score_column": "0"}) == 0
        assert positive_number(["no", "yes"], {"positive_class": "yes", "score_column": "1"}) == 1
