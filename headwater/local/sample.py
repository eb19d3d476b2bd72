"""Rows of the sample domain from a seeded generator, identical in every run. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from random import Random
from typing import Any, TypeAlias

Item: TypeAlias = dict[str, Any]
"""A DynamoDB item as Python values, as boto3's resources and serializer accept them."""

_TOWNS = ("Leeds", "York", "Saint-Étienne", "Whitby", "Ripon", "Haworth", "Ilkley", "Selby")
_SAINTS = ("Chloë", "Aidan", "Hild", "Oswald", "Bede", "Cuthbert", "Æthelthryth", "Wilfrid")
_FIRST = ("Amara", "Bruno", "Chloé", "Dev", "Elif", "Femi", "Gwen", "Haruto", "Ines", "Jakub")
_LAST = ("Ahmed", "Brontë", "Clarke", "Diaz", "Evans", "Frost", "Gray", "Haddad", "Ito", "Jones")
_SUBJECTS = ("Art", "Biology", "Chemistry", "French", "History", "Maths", "Music", "Physics")
_PLATFORMS = ("Reading Room", "Number Garden", "Word Works")
_PLANS = (("trial", "0"), ("basic", "199.00"), ("premium", "549.50"))


@dataclass(frozen=True, slots=True)
class School:
    """One line of the register."""

    urn: int
    name: str
    town: str
    postcode: str
    opened_on: date
    pupils: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of a platform by a school in a month. `minutes` is text, since a bad row has no number."""

    urn: int
    platform: str
    month: date
    active_users: int
    minutes: str
    score: Decimal


def schools(count: int) -> list[School]:
    """Return a register of `count` schools."""
    random = Random("schools")
    return [
        School(
            urn=100_001 + number,
            name=f"St {random.choice(_SAINTS)}’s School {number + 1}",
            town=random.choice(_TOWNS),
            postcode=f"LS{random.randint(1, 29)} {random.randint(1, 9)}AB",
            opened_on=date(1950, 1, 1) + timedelta(days=random.randrange(25_000)),
            pupils=random.randint(40, 1_400),
        )
        for number in range(count)
    ]


def next_register(register: Sequence[School], gone: int, grown: int) -> list[School]:
    """Return the register some months later.

    The last `gone` schools are closed, the first `grown` have more pupils, and one is new.
    """
    kept = list(register[:-gone])
    kept[:grown] = [replace(school, pupils=school.pupils + 25) for school in kept[:grown]]
    return [*kept, replace(register[0], urn=register[-1].urn + 1, name="Whitby New Academy", town="Whitby")]


def register_csv(register: Iterable[School]) -> bytes:
    """Return a file of the feed `school`, in the encoding of the real register: cp1252."""
    rows = [(s.urn, s.name, s.town, s.postcode, f"{s.opened_on:%d-%m-%Y}", s.pupils, "Y") for s in register]
    header = ("URN", "EstablishmentName", "Town", "Postcode", "OpenDate", "NumberOfPupils", "Open")
    return _csv(header, rows).encode("cp1252")


def usage(register: Iterable[School], month: date) -> list[Usage]:
    """Return a month of use, of every platform by every school."""
    random = Random(f"usage {month}")
    return [
        Usage(
            urn=school.urn,
            platform=platform,
            month=month,
            active_users=random.randint(1, school.pupils),
            minutes=str(random.randint(10, 90_000)),
            score=Decimal(random.randrange(100_000)).scaleb(-3),
        )
        for school in register
        for platform in _PLATFORMS
    ]


def usage_csv(rows: Iterable[Usage]) -> bytes:
    """Return a file of the feed `platform_usage`."""
    header = ("urn", "platform", "month", "active_users", "minutes", "score")
    return _csv(
        header, [(u.urn, u.platform, u.month, u.active_users, u.minutes, u.score) for u in rows]
    ).encode()


def subscriptions(register: Iterable[School]) -> list[Item]:
    """Return items of the table `subscriptions`, with attributes that no schema names."""
    random = Random("subscriptions")
    return [_subscription(random, number, school) for number, school in enumerate(register, 1)]


def accounts(register: Iterable[School], teachers: int) -> list[Item]:
    """Return items of the table `accounts`: `teachers` for each school, and a class for each teacher."""
    random = Random("accounts")
    return [
        item
        for school in register
        for number in range(1, teachers + 1)
        for item in (_teacher(random, school, number), _class_group(random, school, number))
    ]


def moved(teacher: Item, school: School, number: int) -> Item:
    """Return the same teacher at another school, with another key and hence another row."""
    return {**teacher, "pk": f"SCHOOL#{school.urn}", "sk": f"TEACHER#{number:03}"}


def _subscription(random: Random, number: int, school: School) -> Item:
    plan, price = random.choice(_PLANS)
    starts = date(2025, 1, 1) + timedelta(days=random.randrange(300))
    return {
        "subscription_id": f"SUB-{number:04}",
        "urn": school.urn,
        "plan": plan,
        "price": Decimal(price),
        "seats": random.randint(1, 60),
        "active": random.random() < 0.9,
        "starts_on": starts.isoformat(),
        "ends_on": (starts + timedelta(days=365)).isoformat(),
        "updated_at": f"{starts}T09:30:00.{random.randrange(1_000_000):06}Z",
        "settings": {"locale": "en-GB", "features": {"Export", "Single sign-on"}},
        "card_last_four": f"{random.randrange(10_000):04}",
        "billing_address": f"{random.randint(1, 200)} {random.choice(_SAINTS)} Street",
    }


def _teacher(random: Random, school: School, number: int) -> Item:
    joined = date(2015, 9, 1) + timedelta(days=random.randrange(3_600))
    return {
        "pk": f"SCHOOL#{school.urn}",
        "sk": f"TEACHER#{number:03}",
        "name": f"{random.choice(_FIRST)} {random.choice(_LAST)}",
        "role": random.choice(("teacher", "head of year", "head")),
        "subjects": random.sample(_SUBJECTS, 2),
        "joined_at": f"{joined}T08:00:00Z",
        "password_hash": random.randbytes(16),
        "home_address": f"{random.randint(1, 200)} {random.choice(_TOWNS)} Road",
    }


def _class_group(random: Random, school: School, number: int) -> Item:
    year = random.randint(7, 11)
    return {
        "pk": f"SCHOOL#{school.urn}",
        "sk": f"CLASS#{number:03}",
        "title": f"Year {year} {random.choice(_SUBJECTS)}",
        "year_group": year,
        "pupils": random.randint(8, 32),
        "teacher_key": f"TEACHER#{number:03}",
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
