"""What a batch holds reaches a model by its signature, and of what the model gives each row gets its own score, through ``score``.

All versions score the same two batches side by side, in one run; the champion reads none of the columns that are refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from side_by_side import Case, Estimates, Run, case, itself, score_side_by_side, unfit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from tasks.batches.predictions import read_parts
from tasks.batches.rows import CHUNK_ROWS

pytestmark = pytest.mark.usefixtures("prefect_server")

EVERYTHING, LONG = "2024-11-03", "2024-11-10"  # LONG lacks most columns, and has gaps only in its second chunk
N, NUMBER = 48, np.arange(48)
P = np.random.default_rng(20241103).permutation(N) / 50
# the clocks of Berlin go back among these hours, so that two of them read the same there
HOURS = [datetime(2024, 10, 26, 12, tzinfo=UTC) + timedelta(hours=i) for i in range(N)]
IN_UTC = [h.replace(tzinfo=None) for h in HOURS]
IN_BERLIN = pl.Series(HOURS, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Europe/Berlin")
DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(N)]
WORDS = ["red", "green", "blue"] * (N // 3)
PRICES = (
    pl.Series([f"{n / 100:.2f}" for n in NUMBER]).str.to_decimal(scale=2).cast(pl.Decimal(38, 18))
)  # as Spark writes them
ROWS = pl.DataFrame({
    "id": [f"r{i}" for i in range(N)], "x1": [1.0, -1.0] * (N // 2), "p": P,
    "zoned": IN_BERLIN, "naive": pl.Series(IN_UTC, dtype=pl.Datetime("ms")), "day": DAYS,
    "written": [f"{h:%Y-%m-%d %H:%M}" for h in IN_UTC], "far": [*DAYS[1:], date(2300, 1, 1)],
    "fraction": P, "vast": [*P[1:], 1e39], "price": PRICES, "count": NUMBER,
    "exact": [*(2**53 + 2 * NUMBER[1:]), 2**53 + 1],
    "beyond_single": [*NUMBER[1:], 2**24 + 1], "whole": NUMBER.astype(float), "halves": [*NUMBER[1:].astype(float), 2.5],
    "word": pl.Series(WORDS, dtype=pl.Categorical), "known_word": pl.Series(WORDS, dtype=pl.Enum(["blue", "green", "red"])),
    "flag": [True, False] * (N // 2), "gappy_flag": [True, None, False] * (N // 3), "bit": NUMBER % 2, "digit": [*(NUMBER[1:] % 2), 2],
    "note": [*WORDS[1:], None], "extra": NUMBER % 5,
})  # fmt: skip
# one file after the other; pandas writes an integer column with a gap as doubles
FULL = np.arange(CHUNK_ROWS) % 9
GAPPY = [*range(9), None, *range(5), None]
FILES = [
    pl.DataFrame({"id": np.arange(CHUNK_ROWS), "x1": 0.0, "n": FULL, "pandas_n": FULL}),
    pl.DataFrame({"id": -1 - np.arange(16), "x1": 0.0, "n": GAPPY, "pandas_n": np.array(GAPPY, dtype=float)}),
]
N_OF_LONG = np.concatenate([FULL, np.array(GAPPY, dtype=float)])


def hour(x: Any) -> Any:
    return (itself(x).dt.hour / 24 + itself(x).dt.minute / 1440).to_numpy()


def by_word(x: Any) -> Any:
    return x.iloc[:, -1].map({"red": 0.1, "green": 0.2, "blue": 0.3})


DIGITS = "a model that needs all its digits reads it as text"
WIDER = "log the model with a wider type"
UTC_HOURS = np.array([h.hour / 24 for h in HOURS])
OF_FLAGS = [1, 0.5, 0] * (N // 3)
OF_EXTRA = NUMBER % 5 / 10
OF_WORDS = np.array([0.1, 0.2, 0.3] * (N // 3))
TIMES = (
    case("zoned, pyfunc", "zoned: datetime", hour, UTC_HOURS),
    case("zoned, scikit-learn", "zoned: datetime", hour, IN_BERLIN.dt.hour().to_numpy() / 24, Estimates),
    case("naive, pyfunc", "naive: datetime", hour, UTC_HOURS),
    case("dates", "day: datetime", lambda x: x["day"].dt.dayofyear / 100 + x["day"].dt.hour, (NUMBER + 1) / 100),
)
VALUES = (
    case("double as single", "fraction: float", itself, P.astype(np.float32).astype(float)),
    case("single is single", "fraction: float", lambda x: [float(x["fraction"].dtype == np.float32)] * len(x), np.ones(N)),
    case("decimals as double", "price: double", itself, NUMBER / 100),
    case("integers as double", "count: double", lambda x: x["count"] / 100 * (x["count"].dtype == float), NUMBER / 100),
    case("all digits of long", "exact: long", lambda x: x["exact"] % 1000 / 1000, ROWS["exact"].to_numpy() % 1000 / 1000),
    case("whole floats as integer", "whole: integer", lambda x: x["whole"] / 100 * (x["whole"].dtype == np.int32), NUMBER / 100),
    case("categories", "word: string", by_word, OF_WORDS),
    case("enumeration, scikit-learn", "known_word: string", by_word, OF_WORDS, Estimates),
    case("booleans", "flag: boolean", lambda x: ~x["flag"], NUMBER % 2),
    case("booleans as double", "flag: double", itself, 1 - NUMBER % 2),
    case("0 and 1 as boolean", "bit: boolean", lambda x: ~x["bit"], 1 - NUMBER % 2),
    case("gaps in booleans", "gappy_flag: boolean", lambda x: x["gappy_flag"].map({True: 1, False: 0}).fillna(0.5), OF_FLAGS),
    case("gaps in booleans, scikit-learn", "gappy_flag: boolean", lambda x: itself(x).astype(float).fillna(0.5), OF_FLAGS, Estimates),
)  # fmt: skip
OPTIONAL = (
    case("optional text", "x1: double, note: string?", lambda x: by_word(x).fillna(0.9), [*OF_WORDS[1:], 0.9]),
    case("optional integers", "x1: double, extra: long?", lambda x: x["extra"] / 10 if "extra" in x else [0.9] * len(x), OF_EXTRA),
    case("optional, scikit-learn", "x1: double, extra: long?", lambda x: x["extra"].astype(float).fillna(9) / 10, OF_EXTRA, Estimates),
)  # fmt: skip
REFUSED = (
    unfit("written", "datetime", "String; write it as dates or times"),
    unfit("far", "datetime", "Date; its value 2300-01-01 is not between the years 1678 and 2262, beyond which nanoseconds do not reach; "
        "correct it, or make it null"),
    unfit("vast", "float", "Float64; its value 1e+39 is too large for single precision; log the model with this column as double"),
    unfit("beyond_single", "float", f"Int64; its value {2**24 + 1} is no float exactly; {DIGITS}"),
    unfit("exact", "double", f"Int64; its value {2**53 + 1} is no double exactly; {DIGITS}"),
    unfit("exact", "integer", f"Int64; its value {2**53 + 2} is beyond the range of integer; correct it, or {WIDER}"),
    unfit("halves", "long", "Float64; its value 2.5 is not whole; round it, or log the model with this column as double"),
    unfit("digit", "boolean", "Int64; its value 2 is neither 0 nor 1; correct it, or log the model with this column as numbers"),
    unfit("word", "double", "Categorical; write it as numbers"),
)  # fmt: skip


def both(x: Any, *names: str) -> Any:
    """The probability that a row is not in the class, and that it is."""
    pair = np.column_stack([1 - x["p"], x["p"]])
    return pd.DataFrame(pair, columns=list(names)) if names else pair


def with_label(x: Any) -> Any:
    return pd.DataFrame({"score": x["p"], "label": (x["p"] > 0.3).astype(int)})


def one_or_two(x: Any) -> Any:
    return np.where(x["p"] > 0.6, 2, 1)


ONE_TWO = LogisticRegression().fit(pd.DataFrame({"p": P}), one_or_two({"p": P}))
OF_TWO = ONE_TWO.predict_proba(pd.DataFrame({"p": P}))[:, 1]
UNNAMED = (
    "score: version 7 gave two columns without names, and either may be the score: column 0 ({} in the first row) or column 1 ({}); "
    "set the tag 'score_column' to 0 or to 1"
)
NAMED = "score: version 7 gave the columns {}, and either may be the score; set the tag 'score_column' to the name of the right one"
CLASSES = (
    "load: version 7 has the classes 1, 2; set the tag 'positive_class' to the one whose probability is the score, "
    "or register a binary model with the classes 0 and 1"
)
MAY_BE_A_CLASS = (
    "score: version 7 gave the number 2 (row 0 of a chunk), which is no score, and may be a class; "
    "set the tag 'positive_class' to the class that counts as 1, or give scores from 0 to 1"
)
UNCLEAR = (
    case("score and label", "p: double", with_label, NAMED.format("'score', 'label'")),
    case("(p0, p1)", "p: double", both, UNNAMED.format(1 - P[0], P[0])),
    case("(p1, p0)", "p: double", lambda x: both(x)[:, ::-1], UNNAMED.format(P[0], 1 - P[0])),
    case("no and yes", "p: double", lambda x: both(x, "no", "yes"), NAMED.format("'no', 'yes'")),
    case("classes 1 and 2", "p: double", ONE_TWO, CLASSES, None),
    case("classes 1 and 2, pyfunc", "p: double", one_or_two, MAY_BE_A_CLASS),
)  # fmt: skip
CLEAR = (
    case("score, by tag", "p: double", with_label, P, score_column="score"),
    case("(p0, p1), by tag", "p: double", both, P, score_column="1"),
    case("(p1, p0), by tag", "p: double", lambda x: both(x)[:, ::-1], P, score_column="0"),
    case("no and yes, by tag", "p: double", lambda x: both(x, "no", "yes"), P, score_column="yes"),
    case("no and yes, by class", "p: double", lambda x: both(x, "no", "yes"), P, positive_class="yes"),
    case("0 and 1", "p: double", lambda x: both(x, "0", "1"), P),
    case("1 and 0", "p: double", lambda x: both(x, "0", "1")[["1", "0"]], P),
    case("class 2, by tag", "p: double", ONE_TWO, OF_TWO, None, positive_class="2"),
    case("predicted classes, by tag", "p: double", one_or_two, P > 0.6, positive_class="2"),
)  # fmt: skip
ORDERED = (
    case("sorted series", "p: double", lambda x: x["p"].sort_values(), P),
    case("sorted frame", "p: double", lambda x: x.sort_values("p", ascending=False), P),
    case("turned frame", "p: double", lambda x: x.iloc[::-1], P),
    case("shuffled, by tag", "p: double", lambda x: with_label(x).sample(frac=1, random_state=1), P, score_column="score"),
)  # fmt: skip


def handles_gaps(column: str) -> Any:
    x = pd.DataFrame({column: [*range(9), np.nan] * 8})
    return HistGradientBoostingClassifier(max_iter=9, min_samples_leaf=1).fit(x, np.arange(80) % 10 % 4 == 1)


def as_text(x: Any) -> Any:
    return x["n"].map(str).map({"<NA>": 0.9, **{str(i): i / 10 for i in range(9)}}).to_numpy()


OF_N = np.nan_to_num(N_OF_LONG, nan=9) / 10
OF_TREES = handles_gaps("n").predict_proba(pd.DataFrame({"n": N_OF_LONG}))[:, 1]
GAPS = (
    case("long", "n: long", handles_gaps("n"), OF_TREES, None),
    case("integer", "n: integer", handles_gaps("n"), OF_TREES, None),
    case("doubles of pandas as long", "pandas_n: long", handles_gaps("pandas_n"), OF_TREES, None),
    case("type that shows", "n: long", as_text, OF_N, Estimates),
    case("double, pyfunc", "n: double", lambda x: x["n"].fillna(9).sort_values() / 10, OF_N),
)
HIDDEN = (
    "score: version 7 reads the column 'n' as whole numbers, and the batch has gaps in it, which MLflow lets no pyfunc model see; "
    "fill them, or log the model with this column as double"
)
GAP_REFUSED = case("long, pyfunc", "n: long", itself, HIDDEN)
ALL = (*TIMES, *VALUES, *OPTIONAL, *REFUSED, *UNCLEAR, *CLEAR, *ORDERED, *GAPS, GAP_REFUSED)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str, prefect_server: None) -> Run:
    batches = {EVERYTHING: [ROWS], LONG: FILES}
    return score_side_by_side(tmp_path_factory.mktemp("cases"), mlflow_uri, __name__, ALL, batches)


def test_the_batches_land_whatever_becomes_of_the_challengers(run: Run) -> None:
    assert run.said.startswith(f"Scored: {EVERYTHING}, {LONG}. ")
    for batch, x1 in ((EVERYTHING, ROWS["x1"].to_numpy()), (LONG, np.zeros(len(N_OF_LONG)))):
        champion = next(s for s in run.manifest(batch).scored if s.version == "1")
        np.testing.assert_allclose(read_parts(run.store, champion.parts)["score"], 1 / (1 + np.exp(-x1)))


@pytest.mark.parametrize("one", TIMES, ids=str)
def test_a_time_reaches_a_model_of_scikit_learn_in_its_zone_and_a_pyfunc_model_in_utc(run: Run, one: Case) -> None:
    run.gives(one, EVERYTHING)


@pytest.mark.parametrize("one", VALUES, ids=str)
def test_a_value_arrives_unchanged_in_the_type_of_the_signature(run: Run, one: Case) -> None:
    run.gives(one, EVERYTHING)


@pytest.mark.parametrize("one", REFUSED, ids=str)
def test_a_value_that_would_change_is_refused_with_its_column_and_both_types(run: Run, one: Case) -> None:
    run.refuses(one, EVERYTHING)


@pytest.mark.parametrize("one", OPTIONAL, ids=str)
def test_an_optional_column_is_used_in_a_batch_that_has_it_and_null_in_one_that_lacks_it(run: Run, one: Case) -> None:
    run.gives(one, EVERYTHING)
    assert set(run.scores(one, LONG)) == {0.9}


@pytest.mark.parametrize("one", GAPS, ids=str)
def test_a_gap_in_the_last_chunk_changes_no_score_of_a_row_before_it(run: Run, one: Case) -> None:
    run.gives(one, LONG)
    assert [p.rows for p in run.of(one, LONG).parts] == [CHUNK_ROWS, len(GAPPY)]


def test_gaps_that_mlflow_hides_from_pyfunc_models_are_refused_with_the_column(run: Run) -> None:
    run.refuses(GAP_REFUSED, LONG)


@pytest.mark.parametrize("one", ORDERED, ids=str)
def test_rows_that_come_back_in_another_order_keep_their_own_scores(run: Run, one: Case) -> None:
    run.gives(one, EVERYTHING)


@pytest.mark.parametrize("one", UNCLEAR, ids=str)
def test_an_output_that_can_be_read_in_two_ways_is_refused_with_both(run: Run, one: Case) -> None:
    run.refuses(one, EVERYTHING)


@pytest.mark.parametrize("one", CLEAR, ids=str)
def test_a_tag_or_the_names_0_and_1_say_which_part_of_an_output_is_the_score(run: Run, one: Case) -> None:
    run.gives(one, EVERYTHING)
