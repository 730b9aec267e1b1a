"""Every threat has tests, and the tests that `tests/threats.toml` names exist."""

import re
import tomllib

import pytest
from conftest import ROOT

THREATS = tomllib.loads((ROOT / "tests" / "threats.toml").read_text())
# The ids are given once: a row that is taken away must be seen.
IDS = [
    *(f"A{n}" for n in (1, 2, 3, 6, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23)),
    *(f"B{n}" for n in (1, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14)),
    *(f"C{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16)),
]


def names_in(file):
    """The names of a file's tests that run: in Rust those with a test attribute or inside `proptest!`."""
    text = (ROOT / file).read_text()
    if file.endswith(".py"):
        return set(re.findall(r"^def (test_\w+)\(", text, re.M))
    found = re.findall(r"((?:^[ \t]*(?:#\[.*\]|///.*)\n)*)^[ \t]*(?:async )?fn (\w+)\(", text, re.M)
    return {name for attributes, name in found if re.search(r"#\[(tokio::)?test\b", attributes) and "#[ignore" not in attributes}


def missing(name):
    file, _, test = name.partition("::")
    if not (ROOT / file).is_file():
        return f"there is no {file}"
    return None if test in names_in(file) else f"{file} has no test {test}"


def test_every_threat_has_a_row():
    assert sorted(THREATS) == sorted(IDS)


@pytest.mark.parametrize("row", IDS)
def test_a_row_says_what_holds_and_its_tests_exist(row):
    told = THREATS[row]
    assert set(told) == {"case", "holds", "tests"} and told["case"] and told["holds"]
    assert told["tests"] and len(set(told["tests"])) == len(told["tests"])
    assert [gap for name in told["tests"] if (gap := missing(name))] == []


@pytest.mark.parametrize("row", IDS)
def test_a_test_that_is_named_after_a_row_is_in_it(row):
    named = re.compile(rf"test_(\w\d+_)*{row.lower()}_")
    for file in (ROOT / "tests" / "clients").glob("test_*.py"):
        for test in names_in(f"tests/clients/{file.name}"):
            if named.match(test):
                assert f"tests/clients/{file.name}::{test}" in THREATS[row]["tests"]


@pytest.mark.parametrize("name", [
    "tests/clients/test_threats.py::test_that_is_not_there", "tests/no_file.py::test_x", "src/sse/tests/tamper.rs::three_parts",
])
def test_a_test_that_is_none_is_found(name):
    assert missing(name)
