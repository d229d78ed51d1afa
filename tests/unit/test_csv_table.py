"""Tables in text: what is a name, what is a number, and a line and a column for all that is neither."""

import numpy as np
import pytest

from edgeport.runtime import InputError
from edgeport.runtime.samples.csv_table import has_names, read_table


def table(text: str, target: str | None = None):
    return read_table(text.encode(), named="a.csv", target=target)


def test_numbers_alone_are_samples_from_the_first_line_on() -> None:
    read = table("1.5,2,-3e2\n\n4,5,6\n")
    np.testing.assert_array_equal(read.numbers, [[1.5, 2, -300], [4, 5, 6]])
    assert (read.columns, read.lines, read.whole) == ((), (1, 3), False)


def test_a_first_line_of_names_is_no_sample() -> None:
    read = table('\ufeffa;"b; c"\r\n1;2\r\n3;4\r\n')
    np.testing.assert_array_equal(read.numbers, [[1, 2], [3, 4]])
    assert (read.columns, read.lines, read.whole) == (("a", "b; c"), (2, 3), True)


@pytest.mark.parametrize(("text", "named"), [("a,b\n", True), ("\n1,b\n", False), ('\ufeff"a"\t"b"', True)])
def test_the_first_line_has_names_if_no_cell_is_a_number(text: str, named: bool) -> None:
    assert has_names(text.encode(), named="a.csv") == named


def test_a_part_of_a_file_says_where_it_stands_in_it() -> None:
    part = read_table(b"a,b\n1,2\n", named="a.csv", header=True, line=6)
    assert (part.columns, part.lines) == (("a", "b"), (7,))
    # In the middle, neither of these can be names.
    assert read_table(b"0,1,2\n", named="a.csv", header=False, line=8).lines == (8,)
    with pytest.raises(InputError, match="line 9, column 1: got 'a', expected a finite number"):
        read_table(b"a,b\n", named="a.csv", header=False, line=9)
    with pytest.raises(InputError, match="line 9: got bytes"):
        read_table(b"1,\xff\n", named="a.csv", header=False, line=9)
    with pytest.raises(InputError, match="line 9: cannot be read as CSV"):
        read_table(b'1,"2', named="a.csv", header=False, line=9)


def test_a_column_of_targets_is_kept_apart_and_may_be_text() -> None:
    read = table("width,species,0\n1,setosa,2\n3, virginica ,4\n", target="species")
    np.testing.assert_array_equal(read.numbers, [[1, 2], [3, 4]])
    assert (read.columns, read.targets) == (("width", "0"), ("setosa", "virginica"))


def test_wanted_columns_come_in_their_order_and_others_may_be_text() -> None:
    read = read_table(b"id,c,kind,a\nx,1,oak,2.5\ny,3,elm,4\n", named="a.csv", wanted=("a", "c"), target="kind")
    np.testing.assert_array_equal(read.numbers, [[2.5, 1], [4, 3]])
    assert (read.columns, read.unread, read.targets) == (("a", "c"), ("id",), ("oak", "elm"))
    # Without names they can only be taken as they stand.
    read = read_table(b"1,2\n", named="a.csv", wanted=("a", "c"))
    assert (read.numbers.tolist(), read.columns, read.unread) == ([[1, 2]], (), ())
    with pytest.raises(
        InputError, match=r"a\.csv: it lacks the columns b, d of the model's a, b, d, and has c, which it"
    ):
        read_table(b"a,c\n1,2\n", named="a.csv", wanted=("a", "b", "d"))
    with pytest.raises(InputError, match=r"line 2, a \(column 2\): got 'x', expected a finite number"):
        read_table(b"c,a\n1,x\n", named="a.csv", wanted=("a",))


def test_many_rows_are_read_in_parts_without_loss() -> None:
    numbers = np.random.default_rng(0).normal(size=(9000, 3))
    read = table("\n".join(",".join(map(repr, row)) for row in numbers.tolist()))
    np.testing.assert_array_equal(read.numbers, numbers)


def test_whole_numbers_beyond_what_float64_holds_are_not_whole() -> None:
    assert not table("9007199254740993\n1\n").whole


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", None, r"a\.csv: got no lines"),
        ("\n \n", None, "got no lines"),
        ("a,b\n", None, "got the names of columns alone"),
        ("a,b\n1,2\n3,x\n", None, r"a\.csv, line 3, b \(column 2\): got 'x', expected a finite number"),
        ("a,b\n1,2\n3,\n", None, r"line 3, b \(column 2\): got an empty cell"),
        ("1,2\n3,nan\n", None, "line 2, column 2: got 'nan'"),
        ("1,2\n-inf,inf\n", None, "line 2, column 1: got '-inf'"),
        ("1,2\n3,1_000\n", None, "got '1_000'"),
        ("1,2\n3\n", None, "line 2: got 1 cells, expected 2"),
        # UCI's files have no names: their first line must not be lost.
        ("5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n", None, "line 1, column 3: got 'Iris-setosa'"),
        (",a,b\n0,1,2\n", None, "column 1 has no name, as an index that pandas writes"),
        ("0,1,2\n5,6,7\n", None, "may be names of columns, or a sample"),
        ("a,a\n1,2\n", None, "two columns called 'a'"),
        ('1,2\n"3,4\n', None, "cannot be read as CSV"),
        ("1,2\n3,\0\n", None, "got a NUL"),
        ("a,b\n1,2\n", "c", "unknown column of targets 'c'"),
        ("1,2\n3,4\n", "c", "got numbers in the first line, expected names"),
        ("a,b\n1,\n", "b", "line 2: got no b, expected a target in each row"),
        ("b\n1\n", "b", "a column of targets alone"),
    ],
)
def test_what_is_no_table_of_numbers_is_reported_with_its_place(text: str, target: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(text, target)


def test_bytes_that_are_no_text_are_reported_with_their_line() -> None:
    with pytest.raises(InputError, match=r"a\.csv, line 2: got bytes that are no UTF-8 text"):
        read_table(b"1,2\n3,\xff\n", named="a.csv")


@pytest.mark.parametrize(
    ("text", "target", "line"),
    [('"a\nb",c\n1,2\n', "d", "known: a\\nb, c"), ('"a\nb",c\nx,2\n', None, "line 3, a\\nb (column 1): got 'x'")],
)
def test_a_name_with_a_newline_makes_no_second_line_of_a_message(text: str, target: str | None, line: str) -> None:
    with pytest.raises(InputError) as caught:
        table(text, target)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
