"""The `$metadata` document of the simulated entity sets, in v1's and v2's types."""

from __future__ import annotations

from functools import lru_cache
from xml.sax.saxutils import quoteattr

from sandbox.sap_b1.schema import DATE, ENTITY_SETS, ENUMS, TIME, EntitySet

_TYPES = {"v1": {DATE: "Edm.DateTime", TIME: "Edm.Time"}, "v2": {DATE: "Edm.DateTimeOffset", TIME: "Edm.TimeOfDay"}}


@lru_cache
def metadata_document(version: str) -> bytes:
    """The EDMX of a root, encoded."""
    types: dict[str, str] = {}
    for entity in ENTITY_SETS.values():
        types.setdefault(entity.type_name, _entity_type(entity, version))
        for collection, members in entity.collections.items():
            types.setdefault(
                f"{entity.type_name}/{collection}", _complex_type(entity.member_type(collection), members, version)
            )
    enums = "".join(
        f"<EnumType Name={quoteattr(name)}>"
        + "".join(f"<Member Name={quoteattr(member)} Value={quoteattr(code)}/>" for member, code in codes.items())
        + "</EnumType>"
        for name, codes in ENUMS.items()
    )
    sets = "".join(
        f'<EntitySet Name={quoteattr(entity.name)} EntityType="SAPB1.{entity.type_name}"/>'
        for entity in ENTITY_SETS.values()
    )
    edmx_version = "1.0" if version == "v1" else "4.0"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><edmx:Edmx Version="{edmx_version}" xmlns:edmx='
        '"http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="SAPB1">'
        f'{enums}{"".join(types.values())}<EntityContainer Name="ServiceLayer">{sets}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )
    return text.encode()


def _edm_type(kind: str, version: str) -> str:
    return f"SAPB1.{kind}" if kind in ENUMS else _TYPES[version].get(kind, kind)


def _properties(members: dict[str, str], version: str) -> str:
    return "".join(
        f'<Property Name={quoteattr(name)} Type="{_edm_type(kind, version)}"/>' for name, kind in members.items()
    )


def _entity_type(entity: EntitySet, version: str) -> str:
    collections = "".join(
        f'<Property Name={quoteattr(name)} Type="Collection(SAPB1.{entity.member_type(name)})"/>'
        for name in entity.collections
    )
    return (
        f'<EntityType Name={quoteattr(entity.type_name)} OpenType="true">'
        f"<Key><PropertyRef Name={quoteattr(entity.key)}/></Key>"
        f"{_properties(entity.properties, version)}{collections}</EntityType>"
    )


def _complex_type(name: str, members: dict[str, str], version: str) -> str:
    return f"<ComplexType Name={quoteattr(name)}>{_properties(members, version)}</ComplexType>"
