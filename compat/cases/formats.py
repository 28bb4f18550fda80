"""Serialization and validation."""

from compat.registry import case, raises


@case(
    "pydantic", "pydantic_core", of="pydantic-core", exercised="models, validators, JSON both ways, JSON schema, errors"
)
def pydantic() -> None:
    from datetime import UTC, datetime
    from typing import Annotated

    from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator

    class Item(BaseModel):
        name: Annotated[str, Field(min_length=2, pattern=r"^\w+$")]
        price: float = Field(gt=0)
        at: datetime = Field(default_factory=lambda: datetime.now(UTC))
        tags: list[str] = []

        @field_validator("name")
        @classmethod
        def not_reserved(cls, value: str) -> str:
            if value == "reserved":
                raise ValueError("is reserved")
            return value.lower()

    class Order(BaseModel):
        items: list[Item]
        parent: "Order | None" = None

    order = Order.model_validate(
        {"items": [{"name": "Nut", "price": "1.5", "tags": ["a"]}] * 20, "parent": {"items": []}}
    )
    assert order.items[3].name == "nut"
    assert order.items[3].price == 1.5
    again = Order.model_validate_json(order.model_dump_json())
    assert again == order
    assert Order.model_json_schema()["$defs"]["Item"]["required"] == ["name", "price"]
    said = raises(ValidationError, Item, name="reserved", price=-1)
    assert "is reserved" in said
    assert "greater than 0" in said
    raises(ValidationError, Order.model_validate_json, b'{"items": [{"name": 1')
    numbers = TypeAdapter(dict[int, tuple[int, float]])
    assert numbers.validate_python({"1": ("2", "3.5")}) == {1: (2, 3.5)}
    raises(ValidationError, numbers.validate_python, {"x": ()})


@case("orjson", "orjson", exercised="dumps and loads, options, dataclasses, a default function that raises, errors")
def orjson() -> None:
    import json
    from dataclasses import dataclass
    from datetime import UTC, datetime
    from uuid import uuid4

    import orjson

    @dataclass
    class Point:
        x: int
        label: str

    value = {"list": list(range(200)), "text": "grüße " * 20, "nested": [{"a": None, "b": [True, 1.25]}] * 10}
    assert orjson.loads(orjson.dumps(value)) == value
    assert orjson.dumps(Point(1, "p")) == b'{"x":1,"label":"p"}'
    keys = {uuid4(): datetime.now(UTC), 3: "three"}
    assert (
        json.loads(orjson.dumps(keys, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))["3"]
        == "three"
    )

    def default(thing: object) -> object:
        if isinstance(thing, set):
            return sorted(thing)
        raise TypeError("no such thing")

    assert orjson.dumps({"set": {3, 1}}, default=default) == b'{"set":[1,3]}'
    raises(orjson.JSONEncodeError, orjson.dumps, object(), default=default)
    assert "line 1 column" in raises(orjson.JSONDecodeError, orjson.loads, b'{"a": ')
    raises(orjson.JSONDecodeError, orjson.loads, b"\xff")
    assert orjson.loads(orjson.dumps({"deep": orjson.Fragment(b"[1]")})) == {"deep": [1]}


@case("msgspec", "msgspec", exercised="structs, JSON and MessagePack both ways, converters with hooks, errors")
def msgspec() -> None:
    import datetime

    import msgspec

    class User(msgspec.Struct, frozen=True, tag="user"):
        name: str
        born: datetime.date
        groups: set[str] = set()
        friends: tuple[str, ...] = ()

    user = User("Ada", datetime.date(1815, 12, 10), {"a", "b"}, ("Mary", "Charles"))
    for encode, decode in (
        (msgspec.json.encode, msgspec.json.decode),
        (msgspec.msgpack.encode, msgspec.msgpack.decode),
    ):
        assert decode(encode(user), type=User) == user
        assert len(decode(encode([user] * 50), type=list[User])) == 50
    assert "Expected `str`" in raises(
        msgspec.ValidationError, msgspec.json.decode, b'{"type":"user","name":1}', type=User
    )
    raises(msgspec.DecodeError, msgspec.json.decode, b'{"name"')
    raises(TypeError, msgspec.json.encode, object())
    assert msgspec.convert({"a": "1"}, dict[str, int], strict=False) == {"a": 1}
    assert msgspec.json.decode(b"[1, 2]", type=list[complex], dec_hook=lambda kind, value: kind(value)) == [
        1 + 0j,
        2 + 0j,
    ]
    assert msgspec.json.schema(User)["$defs"]["User"]["required"] == ["type", "name", "born"]
    assert msgspec.structs.replace(user, name="Eve").name == "Eve"


@case("ujson", "ujson", exercised="dumps and loads, options, errors")
def ujson() -> None:
    import ujson

    value = {"a": [1, 2.5, None, True, "ü" * 50], "b": {"c": list(range(100))}}
    assert ujson.loads(ujson.dumps(value)) == value
    assert ujson.dumps({"a": "<é>"}, ensure_ascii=False, indent=1, encode_html_chars=True)
    raises(ujson.JSONDecodeError, ujson.loads, "{")
    raises(TypeError, ujson.dumps, object())
    assert ujson.dumps({1, 2}, default=sorted) == "[1,2]"


@case("simplejson", "simplejson", exercised="dumps and loads by its C parts, Decimal, errors")
def simplejson() -> None:
    from decimal import Decimal

    import simplejson

    value = {"a": [1, Decimal("2.50"), None, "ü" * 50], "b": {"c": list(range(100))}}
    assert simplejson.loads(simplejson.dumps(value), use_decimal=True) == value
    raises(simplejson.JSONDecodeError, simplejson.loads, '{"a": [1, 2')
    raises(TypeError, simplejson.dumps, {"a": object()})
    assert simplejson.loads("[1.5]", parse_float=Decimal) == [Decimal("1.5")]


@case("msgpack", "msgpack", exercised="pack and unpack, streaming, hooks, extension types, errors")
def msgpack() -> None:
    import datetime

    import msgpack

    value = {"a": list(range(300)), "b": [b"bytes" * 50, "text", 1.5, None, True], "c": {"d": -(2**40)}}
    assert msgpack.unpackb(msgpack.packb(value)) == value
    now = datetime.datetime.now(datetime.UTC)
    assert msgpack.unpackb(msgpack.packb(now, datetime=True), timestamp=3) == now
    unpacker = msgpack.Unpacker(object_hook=lambda found: found | {"seen": True})
    for part in (msgpack.packb({"n": 1}), msgpack.packb({"n": 2})):
        unpacker.feed(part)
    assert [found["seen"] for found in unpacker] == [True, True]
    packed = msgpack.packb({1, 2}, default=lambda thing: msgpack.ExtType(5, bytes(sorted(thing))))
    assert msgpack.unpackb(packed, ext_hook=lambda code, found: (code, found)) == (5, b"\x01\x02")
    raises(TypeError, msgpack.packb, object())
    raises(msgpack.exceptions.ExtraData, msgpack.unpackb, b"\x01\x02")
    raises(ValueError, msgpack.unpackb, b"\x92\x01")


@case("PyYAML", "yaml", exercised="load and dump by LibYAML, anchors, custom types, errors")
def pyyaml() -> None:
    import yaml

    value = {"list": [1, 2.5, None, True], "text": "grüße\nzeile", "nested": [{"a": "b"}] * 5}
    assert yaml.__with_libyaml__
    assert yaml.load(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True), Loader=yaml.CSafeLoader) == value
    assert yaml.load("a: &x [1]\nb: *x", Loader=yaml.CSafeLoader) == {"a": [1], "b": [1]}
    assert "line 1" in raises(yaml.YAMLError, yaml.load, "a: [1, 2", Loader=yaml.CSafeLoader)
    raises(yaml.YAMLError, yaml.dump, object(), Dumper=yaml.CSafeDumper)

    class Loader(yaml.CSafeLoader):
        pass

    Loader.add_constructor("!twice", lambda loader, node: 2 * int(loader.construct_scalar(node)))
    assert yaml.load("!twice 21", Loader=Loader) == 42
    assert len(list(yaml.parse("a: [b, c]", Loader=yaml.CSafeLoader))) == 11


@case(
    "protobuf",
    "google._upb",
    "google.protobuf",
    exercised="messages made at run time, wire format and JSON both ways, errors",
)
def protobuf() -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message, message_factory, struct_pb2
    from google.protobuf.internal import api_implementation

    assert api_implementation.Type() == "upb"
    file = descriptor_pb2.FileDescriptorProto(name="compat.proto", package="compat", syntax="proto3")
    kind = file.message_type.add(name="Point")
    kind.field.add(name="x", number=1, type=5, label=1)
    kind.field.add(name="labels", number=2, type=9, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    point_type = message_factory.GetMessageClass(pool.FindMessageTypeByName("compat.Point"))
    point = point_type(x=3, labels=["a", "ü"])
    assert point_type.FromString(point.SerializeToString()) == point
    assert json_format.Parse(json_format.MessageToJson(point), point_type()) == point
    raises(TypeError, setattr, point, "x", "no number")
    raises(message.DecodeError, point_type.FromString, b"\x12\xff\xff")
    raises(json_format.ParseError, json_format.Parse, "{", point_type())
    struct = struct_pb2.Struct()
    struct.update({"a": [1, {"b": None}], "c": "d"})
    assert json_format.MessageToDict(struct) == {"a": [1.0, {"b": None}], "c": "d"}


@case(
    "jsonschema",
    "rpds",
    of="rpds-py",
    exercised="validation with references, error reports; rpds's maps, lists and queues",
    with_=("rpds-py",),
)
def jsonschema() -> None:
    import jsonschema
    import rpds

    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"name": {"type": "string", "minLength": 2}},
        "type": "object",
        "properties": {"name": {"$ref": "#/$defs/name"}, "tags": {"type": "array", "items": {"$ref": "#/$defs/name"}}},
        "required": ["name"],
    }
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate({"name": "Ada", "tags": ["ab"] * 20})
    errors = sorted(error.message for error in validator.iter_errors({"name": "A", "tags": [1]}))
    assert len(errors) == 2
    assert "required property" in raises(jsonschema.ValidationError, validator.validate, {})
    raises(jsonschema.SchemaError, jsonschema.validate, 1, {"type": "nonsense"})
    numbers = rpds.HashTrieMap({index: str(index) for index in range(200)})
    assert numbers.insert(1, "one")[1] == "one"
    assert numbers[1] == "1"
    raises(KeyError, numbers.remove, 1000)
    assert list(rpds.List([1, 2]).push_front(0)) == [0, 1, 2]
    raises(IndexError, rpds.Queue().peek)
    raises(TypeError, rpds.HashTrieSet().insert, [])


@case(
    "lxml",
    "lxml",
    exercised="parse, XPath with functions in Python, XSLT, validation, iterparse, objectify, HTML, errors",
)
def lxml() -> None:
    import io

    from lxml import etree, html, objectify

    root = etree.fromstring(
        "<r xmlns:n='urn:n'>" + "".join(f"<n:i k='{index}'>t{index}</n:i>" for index in range(100)) + "</r>"
    )
    assert root.xpath("count(//n:i)", namespaces={"n": "urn:n"}) == 100.0
    assert etree.tostring(etree.fromstring(etree.tostring(root))) == etree.tostring(root)
    functions = etree.FunctionNamespace("urn:f")
    functions["double"] = lambda _, value: 2 * value
    assert root.xpath("f:double(21)", namespaces={"f": "urn:f"}) == 42.0

    def fail(_: object) -> object:
        raise LookupError("from Python")

    functions["fail"] = fail
    assert "from Python" in raises(LookupError, root.xpath, "f:fail()", namespaces={"f": "urn:f"})
    sheet = etree.XSLT(
        etree.XML(
            "<s:stylesheet version='1.0' xmlns:s='http://www.w3.org/1999/XSL/Transform'><s:template match='/'>"
            "<o><s:value-of select='count(//*)'/></o></s:template></s:stylesheet>"
        )
    )
    assert sheet(root).getroot().text == "101"
    schema = etree.XMLSchema(
        etree.XML(
            "<x:schema xmlns:x='http://www.w3.org/2001/XMLSchema'><x:element name='a' type='x:integer'/></x:schema>"
        )
    )
    assert schema.validate(etree.XML("<a>1</a>"))
    raises(etree.DocumentInvalid, schema.assertValid, etree.XML("<a>b</a>"))
    assert "mismatch" in raises(etree.XMLSyntaxError, etree.fromstring, "<a><b></a>")
    assert sum(1 for _ in etree.iterparse(io.BytesIO(etree.tostring(root)))) == 101
    page = html.fromstring("<p class=x>one<p>two <a href='/u'>link</a>")
    assert [link[2] for link in page.iterlinks()] == ["/u"]
    assert objectify.fromstring("<a><b>3</b></a>").b + 1 == 4
    with etree.xmlfile(io.BytesIO()) as file, file.element("a"):
        file.write("text")


@case("cbor2", "_cbor2", "cbor2", exercised="both ways, tags, hooks that raise, broken input")
def cbor2() -> None:
    import datetime
    import decimal

    import cbor2

    value = {"a": [1, 2.5, None, -(2**70)], "b": b"x" * 100, "d": decimal.Decimal("1.50"), "s": frozenset({1, 2})}
    assert cbor2.loads(cbor2.dumps(value)) == value
    at = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    assert cbor2.loads(cbor2.dumps(at)) == at
    assert cbor2.loads(cbor2.dumps(cbor2.CBORTag(6000, "x"))).value == "x"

    def fail(*_: object) -> object:
        raise LookupError("from a hook")

    raises(Exception, cbor2.loads, cbor2.dumps(cbor2.CBORTag(6000, "x")), tag_hook=fail)
    raises(Exception, cbor2.dumps, object())
    raises(cbor2.CBORDecodeError, cbor2.loads, b"\x82\x01")


@case("jiter", "jiter", exercised="parsing, partial input, errors")
def jiter() -> None:
    import jiter

    assert jiter.from_json(b'{"a": [1, 2.5, null, "\\u00fc"], "big": 100000000000000000000}')["big"] == 10**20
    assert jiter.from_json(b'{"a": ["b", "c', partial_mode=True) == {"a": ["b"]}
    raises(ValueError, jiter.from_json, b'{"a": ')
    raises(TypeError, jiter.from_json, 5)


@case("ormsgpack", "ormsgpack", exercised="both ways, dataclasses, a default function that raises, errors")
def ormsgpack() -> None:
    from dataclasses import dataclass

    import ormsgpack

    @dataclass
    class Point:
        x: int

    value = {"a": list(range(300)), "b": [b"bytes" * 50, "ü", 1.5, None, True]}
    assert ormsgpack.unpackb(ormsgpack.packb(value)) == value
    assert ormsgpack.unpackb(ormsgpack.packb(Point(3))) == {"x": 3}

    def fail(_: object) -> object:
        raise LookupError("from a function")

    raises(ormsgpack.MsgpackEncodeError, ormsgpack.packb, object(), default=fail)
    raises(ormsgpack.MsgpackDecodeError, ormsgpack.unpackb, b"\x92\x01")
