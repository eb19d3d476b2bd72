"""Files from drop/ to the stream: what each mode publishes, and what becomes of bad files and bad rows."""

import json
import logging
from datetime import UTC, datetime

import pytest
from csv_world import BUCKET, HEADER, LINK_FIELDS, World, entity, links, notification

from schemas.catalog.entity import Entity
from schemas.positions import csv_position
from schemas.sources.csv import Mode

GOOD = f"{HEADER}\n1,Alpha,01-02-2020,Y\n2,Beta,,N\n"


def micros(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc]


def snapshot(**source: object) -> World:
    return World(links(mode=Mode.SNAPSHOT, **source))


# What is published


def test_each_row_is_an_event_at_its_file_and_row() -> None:
    world = World(links())
    world.drop(GOOD, "drop/links/2025/a.csv")
    first, second = world.facts()
    assert (first.key, first.operation, first.source, first.entity) == (
        '["1"]',
        "upsert",
        "csv:links",
        "links",
    )
    assert first.position.startswith("20250422T093100Z-")
    assert first.position.endswith("-000000000001")
    assert second.position == csv_position(first.position[:-13], 2)
    assert first.occurred_at == micros(2025, 4, 22, 9, 31)
    assert first.metadata == {"file": "2025/a.csv", "row": "1"}
    assert world.values()[1] == {"urn": 2, "name": "Beta", "since": None, "open": False}
    assert world.sweeps() == []


def test_a_file_that_is_done_lies_in_the_archive_alone() -> None:
    world = World(links())
    world.drop(GOOD)
    place = world.facts()[0].position.removesuffix("-000000000001")
    assert world.objects() == [f"archive/links/a.csv/{place}"]
    assert world.bucket.body(world.objects()[0]) == GOOD.encode()


def test_rows_without_a_key_are_facts_known_by_file_and_row() -> None:
    world = World(entity(LINK_FIELDS))
    first = world.drop(GOOD)
    again = world.drop(GOOD)
    assert first.etag == again.etag
    facts = world.facts()
    assert {fact.operation for fact in facts} == {"insert"}
    assert [json.loads(fact.key) for fact in facts] == 2 * [
        ["a.csv", first.etag, "1"],
        ["a.csv", first.etag, "2"],
    ]
    assert len({fact.position for fact in facts}) == 4


def test_append_with_a_key_upserts() -> None:
    world = World(links(mode=Mode.APPEND))
    world.drop(GOOD)
    assert {fact.operation for fact in world.facts()} == {"upsert"}


def test_a_snapshot_sweeps_every_bucket_below_its_rows_and_above_older_files() -> None:
    world = snapshot()
    world.drop(GOOD)
    old, _ = world.facts()
    world.drop(GOOD)
    new = world.facts()[2]
    sweeps = [sweep for sweep in world.sweeps() if sweep.occurred_at == new.occurred_at]
    assert sorted(int(json.loads(sweep.key)[0]) for sweep in sweeps) == list(range(256))
    (position,) = {sweep.position for sweep in sweeps}
    assert old.position < position < new.position


def test_an_effective_date_decides_before_the_time_of_the_upload() -> None:
    world = World(links(effective="links_%Y%m%d.csv"))
    world.drop(GOOD, "drop/links/links_20250422.csv")
    newer = world.facts()[0]
    world.drop(GOOD, "drop/links/links_20230421.csv")
    older = world.facts()[0]
    assert older.position < newer.position
    assert older.position.startswith("2023042120250422T093200Z-")
    assert older.occurred_at == micros(2023, 4, 21)


def test_columns_come_in_any_order_and_unknown_ones_never_leave() -> None:
    world = World(links())
    world.drop("Secret,Open,Since,Secret,URN,Name\ns3cret,Y,,s3cret,7,Eta\n")
    assert world.values() == [{"urn": 7, "name": "Eta", "since": None, "open": True}]
    assert "s3cret" not in str(world.events())


def test_a_feed_without_a_header_row_names_its_columns() -> None:
    world = World(links(header=("Open", "URN", "Name")))  # Since has a default
    world.drop("Y,1,Alpha\n")
    world.drop("")
    assert world.values() == [{"urn": 1, "name": "Alpha", "since": None, "open": True}]
    assert world.reasons() == []


def test_a_column_that_the_listed_ones_lack_has_the_default_as_the_schema_writes_it() -> None:
    """Whatever its level: a default hides nothing (docs/private-fields.md)."""
    hidden = {"name": "mail", "type": "string", "default": "nobody", "headwater.private": "hash"}
    fields = [{"name": "id", "type": "string"}, {"name": "seats", "type": "int", "default": 7}, hidden]
    world = World(entity(fields, ("id",), header=("id",)))
    world.drop("1\n")
    assert world.values() == [{"id": "1", "seats": 7, "mail": "nobody"}]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16"])
def test_names_arrive_intact_in_the_encoding_of_the_feed(encoding: str) -> None:
    world = World(links(encoding=encoding))
    world.drop(f"{HEADER}\n1,Ysgol Tŵr – Siân,,Y\n".replace("ŵ", "w").encode(encoding))
    assert world.values()[0]["name"] == "Ysgol Twr – Siân"


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    world = World(links())
    world.drop(f"\ufeff{GOOD}")
    assert len(world.facts()) == 2


def test_a_line_end_within_quotes_is_text() -> None:
    world = World(links())
    world.drop(f'{HEADER}\r\n1,"two\r\nlines, ""x""",,Y\r\n\r\n2,b,,N\r\n')
    assert [values["name"] for values in world.values()] == ['two\r\nlines, "x"', "b"]
    assert world.facts()[1].metadata["row"] == "2"  # blank lines are no rows


def test_empty_text_is_null_or_the_empty_text() -> None:
    world = World(links())
    world.drop(f"{HEADER}\n1,,,Y\n")
    assert world.values() == [{"urn": 1, "name": "", "since": None, "open": True}]


def test_blanks_are_kept_or_trimmed_as_the_feed_says() -> None:
    body = f"{HEADER}\n1, Alpha ,,Y\n"
    kept, trimmed = World(links()), World(links(trim=True))
    kept.drop(body)
    trimmed.drop(" URN ,Name ,Since, Open\n 1, Alpha , , Y\n")
    assert kept.values()[0]["name"] == " Alpha "
    assert trimmed.values() == [{"urn": 1, "name": "Alpha", "since": None, "open": True}]


def test_of_a_key_that_a_file_holds_twice_both_rows_are_in_the_log_and_the_later_is_greater() -> None:
    world = World(links())
    world.drop(f"{HEADER}\n1,first,,Y\n1,second,,Y\n")
    first, second = world.facts()
    assert first.key == second.key
    assert first.position < second.position
    assert [values["name"] for values in world.values()] == ["first", "second"]


def test_an_overwritten_key_is_two_files_and_neither_is_lost() -> None:
    world = World(links())
    first = world.upload(f"{HEADER}\n1,first,,Y\n")
    second = world.upload(f"{HEADER}\n2,second,,Y\n")
    for upload in (second, first):
        world.producer().take(notification(upload))
    assert [values["name"] for values in world.values()] == ["first", "second"]
    assert len(world.objects()) == 2
    assert all(key.startswith("archive/") for key in world.objects())


def test_notifications_without_a_version_take_each_version_in_turn() -> None:
    world = World(links())
    uploads = [world.upload(f"{HEADER}\n{urn},x,,Y\n") for urn in (1, 2)]
    for upload in (*uploads, *uploads):  # the second pair comes too late: done
        world.producer().take(notification(upload, versionId=None))
    assert [values["urn"] for values in world.values()] == [1, 2]
    assert world.reasons() == []


# Bad rows

BAD_ROWS = {
    "x,a,,Y": ("URN", "URN is not a whole number"),
    "1.0,a,,Y": ("URN", "URN is not a whole number"),
    "99999999999,a,,Y": ("URN", "URN int takes -2147483648 to 2147483647"),
    ",a,,Y": ("URN", "URN is empty"),
    "1,a,31-02-2020,Y": ("Since", "Since does not have the format %d-%m-%Y"),
    "1,a,,maybe": ("Open", "Open is neither Y nor N"),
    "1,a\0b,,Y": ("Name", "Name holds a NUL"),
    "1,abcdefghijklmnopqrstuvwxyz,,Y": ("Name", "Name takes at most 20 characters, got 26"),
    "x,a,y,Z": (
        "URN, Since, Open",
        "URN is not a whole number; Since does not have the format %d-%m-%Y; Open is neither Y nor N",
    ),
    "1,a,": ("", "the row has 3 cells, the header 4"),
    "1,a,,Y,": ("", "the row has 5 cells, the header 4"),
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_rejected_with_its_reason_and_the_rest_goes_on(row: str) -> None:
    world = World(links())
    upload = world.drop(f"{HEADER}\n8,ok,,Y\n{row}\n9,ok,,Y\n")
    assert [values["urn"] for values in world.values()] == [8, 9]
    header, reject = world.rejects()
    assert header == ["row", "position", "column", "reason", *HEADER.split(",")]
    place = world.facts()[0].position.removesuffix("1") + "2"
    assert reject == ["2", place, *BAD_ROWS[row], *row.split(",")]
    assert upload.key not in world.objects()


def test_a_field_of_10_mb_is_a_reject_since_no_event_is_that_large() -> None:
    world = World(entity([{"name": "text", "type": "string"}]))
    long = "x" * 10_000_000
    world.drop(f"text\na\n{long}\nb\n")
    assert [values["text"] for values in world.values()] == ["a", "b"]
    _, reject = world.rejects()
    assert "1,000,000 are allowed" in reject[3]
    assert reject[4] == long


def test_rejects_keep_their_cells_exactly() -> None:
    world = World(links())
    cells = ['x"y', " a\r\nb;c", "é", ""]
    world.drop(HEADER + '\n"x""y"," a\r\nb;c",é,\n')
    assert world.rejects()[1][4:] == cells


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{HEADER}\n1,a,,Y\nx,b,,N\n", "no sweep published: 1 of 2 rows were rejected"),
        (f"{HEADER}\n", "no sweep published: 0 rows are fewer than min_rows = 1"),
    ],
)
def test_a_snapshot_that_would_sweep_what_still_exists_sweeps_nothing_and_alarms(
    body: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = snapshot()
    upload = world.drop(body)
    assert world.sweeps() == []
    (letter,) = world.letters.letters
    assert (letter.stage, letter.entity, letter.source, letter.reason) == (
        "csv",
        "links",
        "csv:links",
        reason,
    )
    payload = json.loads(letter.payload)
    (archived,) = [key for key in world.objects() if key.startswith("archive/")]
    assert payload == {"bucket": BUCKET, "key": upload.key, "version": upload.version, "moved_to": archived}
    assert reason in caplog.text


def test_an_event_that_is_too_large_stops_the_sweep_as_any_reject() -> None:
    fields = [{"name": "id", "type": "int"}, {"name": "text", "type": "string"}]
    world = World(entity(fields, ("id",), mode=Mode.SNAPSHOT))
    world.drop(f"id,text\n1,a\n2,{'x' * 1_000_000}\n")
    assert world.sweeps() == []
    assert world.reasons() == ["no sweep published: 1 of 2 rows were rejected"]


def test_min_rows_guards_against_a_file_cut_short() -> None:
    world = snapshot(min_rows=3)
    world.drop(GOOD)
    assert world.reasons() == ["no sweep published: 2 rows are fewer than min_rows = 3"]
    assert len(world.facts()) == 2


def test_no_rows_at_all_may_be_a_snapshot_where_the_feed_allows_it() -> None:
    world = snapshot(min_rows=0)
    world.drop(f"{HEADER}\n")
    assert len(world.sweeps()) == 256


# Bad files

BAD_FILES: dict[str, tuple[bytes, str]] = {
    "missing column": (b"URN,Name,Since\n1,a,\n", "the column Open is missing"),
    "duplicate column": (b"URN,Name,Since,Open,URN\n1,a,,Y,2\n", "the column URN is there 2 times"),
    "wrong encoding": (GOOD.replace("Alpha", "Ä").encode("cp1252"), "byte 22 is not utf-8"),
    "utf-16 where utf-8 is said": (GOOD.encode("utf-16"), "byte 0 is not utf-8"),
    "open quote": (GOOD.encode() + b'3,"c,,Y\n', "line 4: unexpected end of data"),
    "field beyond all limits": (
        f"{HEADER}\n{'x' * 20_000_000}".encode(),
        "line 2: field larger than field limit",
    ),
    "empty": (b"", "the file is empty: not even a header"),
    "blank": (b"\n\n\n", "the file is empty: not even a header"),
    "too many rejects": (f"{HEADER}\nx,a,,Y\nx,b,,N\n1,c,,Y\n".encode(), "2 of 3 rows are bad"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_rejected_whole_and_nothing_is_published(case: str) -> None:
    body, reason = BAD_FILES[case]
    world = snapshot(reject_limit=1)
    upload = world.drop(body)
    assert world.events() == []
    moved, why = world.objects()
    assert why == f"{moved}.reason.json"
    assert moved.startswith("rejects/links/a.csv/20250422T093100Z-")
    assert world.bucket.body(moved) == body
    assert json.loads(world.bucket.body(why))["reason"].startswith(reason)
    (letter,) = world.letters.letters
    assert letter.reason.startswith(reason)
    assert json.loads(letter.payload) == {
        "bucket": BUCKET,
        "key": upload.key,
        "version": upload.version,
        "moved_to": moved,
    }


def test_a_key_is_never_a_default() -> None:
    fields = [{"name": "id", "type": "int", "default": 0}, {"name": "text", "type": "string"}]
    world = World(entity(fields, ("id",), header=("text",)))
    world.drop("a\n")
    assert world.reasons() == ["the column id is missing"]


def test_a_file_whose_name_lacks_the_date_of_its_feed_is_bad() -> None:
    world = World(links(effective="links_%Y%m%d.csv"))
    world.drop(GOOD, "drop/links/links_2025.csv")
    assert world.reasons() == ["the file's name does not follow links_%Y%m%d.csv"]
    assert world.events() == []


@pytest.mark.parametrize(
    ("limit", "bad", "refused"), [(0, 0, False), (0, 1, True), (2, 2, False), (0.5, 2, False), (0.5, 3, True)]
)
def test_the_reject_limit_is_a_number_of_rows_or_a_share_of_them(
    limit: float, bad: int, refused: bool
) -> None:
    world = World(links(reject_limit=limit))
    world.drop("\n".join([HEADER, *["x,a,,Y"] * bad, *["1,a,,Y"] * (4 - bad)]))
    assert len(world.events()) == (0 if refused else 4 - bad)


def test_a_file_of_an_unknown_feed_stays_where_it_is_and_someone_is_told() -> None:
    world = World(links())
    upload = world.drop(GOOD, "drop/lonks/a.csv")
    assert world.objects() == [upload.key]
    (letter,) = world.letters.letters
    assert (letter.reason, letter.cause) == ("no entity takes the feed lonks", "schema")
    assert json.loads(letter.payload)["version"] == upload.version


def test_a_file_whose_name_leaves_no_room_for_the_archive_stays_and_someone_is_told() -> None:
    world = World(links())
    upload = world.drop(GOOD, f"drop/links/{'é' * 480}.csv")
    assert world.objects() == [upload.key]
    assert len(world.reasons()) == 1
    assert world.events() == []


# Objects that are gone


@pytest.mark.parametrize("body", [GOOD, "URN\n1\n"], ids=["archived", "rejected whole"])
@pytest.mark.parametrize("known", [{}, {"versionId": None, "eTag": None}], ids=["version", "no version"])
def test_an_object_that_is_gone_because_it_is_done_is_done(body: str, known: dict[str, None]) -> None:
    world = World(links())
    upload = world.drop(body)
    before = world.objects(), world.events(), world.reasons()
    world.producer().take(notification(upload, **known))
    assert (world.objects(), world.events(), world.reasons()) == before


@pytest.mark.parametrize("known", [{}, {"versionId": None, "eTag": None}], ids=["version", "no version"])
def test_an_object_that_is_lost_is_a_dead_letter_and_no_endless_retry(known: dict[str, None]) -> None:
    world = World(links())
    upload = world.upload(GOOD)
    world.bucket.delete(upload)
    world.producer().take(notification(upload, **known))
    assert world.reasons() == ["the object was gone before it was read, and the archive has no copy"]


def test_the_archived_copy_of_another_version_does_not_hide_a_lost_one() -> None:
    world = World(links())
    world.drop(GOOD)
    lost = world.upload(GOOD)
    world.bucket.delete(lost)
    world.producer().take(notification(lost))
    assert len(world.letters.letters) == 1


def test_what_is_said_about_a_file_is_no_copy_of_it() -> None:
    world = World(links())
    world.upload("{}", "rejects/links/a.csv/20250422T093100Z-a3569e79ec1da100.reason.json")
    lost = world.upload(GOOD)
    world.bucket.delete(lost)
    world.producer().take(notification(lost, versionId=None))
    assert len(world.letters.letters) == 1


# INV-5, INV-7


def test_inv5_a_file_taken_again_gives_the_same_bytes() -> None:
    def stream(one: Entity) -> list[str]:
        world = World(one)
        world.drop(GOOD)
        return [repr(event) for event in world.events()]

    assert stream(links(mode=Mode.SNAPSHOT)) == stream(links(mode=Mode.SNAPSHOT))


def test_inv7_logs_and_letters_name_files_and_columns_and_never_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    world = snapshot()
    world.drop(f"{HEADER}\ns3cret,s3cret,s3cret,s3cret\n")
    world.drop("URN,s3cret\n1,s3cret\n")
    world.drop(f'{HEADER}\n1,"s3cret"s3cret,,Y\n')
    assert "drop/links/a.csv" in caplog.text
    assert "s3cret" not in caplog.text + str(world.letters.letters)
