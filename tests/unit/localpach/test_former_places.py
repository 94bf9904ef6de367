"""The modules that the manual of 0.1 named are still found where it said."""

import importlib

import pytest

import localpach


@pytest.mark.parametrize(
    ("name", "place"), [("files", "actions.files"), ("jobs", "running.jobs"), ("repos", "actions.repos")]
)
def test_module_is_found_in_its_former_place(name, place):
    with pytest.warns(DeprecationWarning, match=f"localpach.{name} is localpach.{place} now"):
        found = getattr(localpach, name)
    assert found is importlib.import_module(f"localpach.{place}")


@pytest.mark.parametrize(
    ("name", "place", "function"), [("addresses", "spec.addresses", "parse_file"), ("store", "storage.store", "Store")]
)
def test_function_is_imported_from_its_former_place(name, place, function):
    with pytest.warns(DeprecationWarning, match=f"localpach.{name} is localpach.{place} now"):
        found = importlib.import_module(f"localpach.{name}")
    assert getattr(found, function) is getattr(importlib.import_module(f"localpach.{place}"), function)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = localpach.nothing
