"""localpach's table of fields, which stands alone, says what pachyderm-sdk's message classes say."""

import dataclasses
import datetime

import betterproto
import pytest

from ambient.deployment.pachd import CREATE_PIPELINE_REQUEST
from localpach.spec.spec_fields import MESSAGES

INTEGERS = {"int32", "sint32", "uint32", "int64", "sint64", "uint64"}
SCALARS = {
    "string": {"str"},
    "bool": {"bool"},
    "float": {"float"},
    "double": {"float"},
    **{kind: {"int", "count"} for kind in INTEGERS},  # localpach refuses negative counts, which a server does later
}
# Names in a spec that differ from the class's.
OTHER_NAMES = {("Egress", "url"): "URL"}


def kinds(message, field):
    """Return the words that the table may have for a field, and the class below it if it is a message."""
    meta = betterproto.FieldMetadata.get(field)
    table = message()._betterproto
    inner = table.cls_by_field.get(field.name)
    if meta.map_types:
        assert meta.map_types == ("string", "string")
        return {"map"}, None
    if inner is datetime.timedelta:
        words, below = {"duration"}, None
    elif inner is datetime.datetime:
        words, below = {"time"}, None
    elif meta.wraps:
        words, below = SCALARS[meta.wraps], None
    elif meta.proto_type == betterproto.TYPE_ENUM:
        words, below = {"one of " + " ".join(inner.__members__)}, None
    elif meta.proto_type == betterproto.TYPE_MESSAGE:
        words, below = None, inner
    else:
        words, below = SCALARS[meta.proto_type], None
    return words, below


def differences(message, name, seen):
    """Yield where the table and a class differ, at any depth."""
    if name in seen:
        return
    seen.add(name)
    fields = {}
    for field in dataclasses.fields(message):
        key = field.name.rstrip("_")
        fields[OTHER_NAMES.get((message.__name__, key), key)] = field
    if fields.keys() != MESSAGES[name].keys():
        yield name, "fields", fields.keys() ^ MESSAGES[name].keys()
    for key in fields.keys() & MESSAGES[name].keys():
        field, word = fields[key], MESSAGES[name][key]
        words, below = kinds(message, field)
        if (message()._betterproto.default_gen[field.name] is list) != word.startswith("["):
            yield name, key, word
        word = word.strip("[]")
        if below is not None:
            if word in MESSAGES:
                yield from differences(below, word, seen)
            else:
                yield name, key, word
        elif word not in words:
            yield name, key, word


def test_the_table_has_the_fields_and_types_of_the_classes():
    seen = set()
    assert list(differences(CREATE_PIPELINE_REQUEST, "CreatePipelineRequest", seen)) == []
    assert seen == MESSAGES.keys()


@pytest.mark.parametrize(
    ("message", "key", "word"),
    [
        ("PfsInput", "globb", "str"),
        ("Transform", "debug", "str"),
        ("Input", "cross", "Input"),
        ("Metadata", "labels", "str"),
    ],
)
def test_a_table_that_differs_is_noticed(monkeypatch, message, key, word):
    monkeypatch.setitem(MESSAGES[message], key, word)
    assert list(differences(CREATE_PIPELINE_REQUEST, "CreatePipelineRequest", set()))
