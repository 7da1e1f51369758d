"""The change log: which device and span every statement on the hypertable touched. Pure: builds SQL.

A row `(device_id, first, last, stage)` says that readings of the device between `first` and `last` (both inclusive)
changed and that the tiers of the stage, and of every later stage, may not hold them yet. A row never spans more than
one UTC day. Statement-level triggers append rows with stage 0 in the transaction that changes the readings, so that a
snapshot holds either both or neither. The rollup replaces them with rows of stage 1, and deletes those.

The functions run with the owner's rights: a third-party writer needs no right on the log or on the tiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue, Metric
from telemetry.ddl import table_of
from telemetry.energy_tiers import energy_metrics, energy_tables
from telemetry.floor import chunks_table, state_table
from telemetry.tiers import rollup_tiers, tier_table

DEVICE = "device_id"
FIRST = "first"
LAST = "last"
STAGE = "stage"
# Rows live for a minute or for a quarter of an hour: vacuum by their number, not by their share of the table.
_VACUUM_AFTER_ROWS = 1_000
# A reader scans the partition of its device. An index instead would cost a writer as much as the log itself.
PARTITIONS = 16
_EVENTS: dict[str, tuple[LiteralString, LiteralString]] = {
    "insert": ("REFERENCING NEW TABLE AS new_rows", "new_rows"),
    "update": (
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "(SELECT {device}, {time} FROM old_rows UNION ALL SELECT {device}, {time} FROM new_rows) AS changed",
    ),
    "delete": ("REFERENCING OLD TABLE AS old_rows", "old_rows"),
}


def changes_table(catalogue: Catalogue) -> Identifier:
    """The qualified name of the change log."""
    return Identifier(catalogue.schema, f"{catalogue.table}_changes")


def change_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """The log and its triggers; where the log is new, log every reading that is there. Each is safe to repeat.

    The triggers lock the hypertable against writers until the transaction ends: no reading is missed in between.
    """
    log = changes_table(catalogue)
    is_new = SQL("to_regclass({}) IS NULL").format(Literal(log.as_string()))
    yield SQL("SELECT set_config('wattstream.is_new_log', ({})::text, false)").format(is_new)
    yield SQL(
        "CREATE TABLE IF NOT EXISTS {} ({device} text NOT NULL, {} timestamptz NOT NULL, {} timestamptz NOT NULL,"
        " {} smallint NOT NULL DEFAULT 0) PARTITION BY HASH ({device})"
    ).format(log, *map(Identifier, (FIRST, LAST, STAGE)), device=Identifier(DEVICE))
    for number in range(PARTITIONS):
        yield SQL(
            "CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES WITH (MODULUS {}, REMAINDER {})"
            " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = {rows},"
            " autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = {rows},"
            " autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = {rows})"
        ).format(
            Identifier(catalogue.schema, f"{catalogue.table}_changes_{number}"),
            log,
            Literal(PARTITIONS),
            Literal(number),
            rows=Literal(_VACUUM_AFTER_ROWS),
        )
    for event, (referencing, source) in _EVENTS.items():
        yield _log_function(catalogue, event, source)
        yield _trigger(catalogue, event, SQL(referencing))
    yield _truncate_function(catalogue)
    yield _trigger(catalogue, "truncate", SQL(""))
    yield SQL("DO $log$ BEGIN IF current_setting('wattstream.is_new_log')::boolean THEN {}; END IF; END $log$").format(
        log_everything_statement(catalogue)
    )


def readable_tables(catalogue: Catalogue) -> list[Identifier]:
    """The tables that the server's role may read besides the hypertable."""
    tiers = [tier_table(catalogue, tier) for tier in rollup_tiers(catalogue)]
    return [
        changes_table(catalogue),
        state_table(catalogue),
        chunks_table(catalogue),
        *tiers,
        *energy_tables(catalogue),
    ]


def log_everything_statement(catalogue: Catalogue, since: str = "-infinity") -> Composed:
    """Log every device and UTC day from `since` on that may hold readings, so that the rollup rebuilds all tiers.

    Devices are found by skipping through the primary key, and days by the chunks: no reading is counted.
    """
    return SQL("""INSERT INTO {log} ({columns})
  WITH RECURSIVE devices AS (
    (SELECT {device} AS id FROM {table} ORDER BY {device} LIMIT 1)
    UNION ALL
    SELECT (SELECT {device} FROM {table} WHERE {device} > devices.id ORDER BY {device} LIMIT 1)
      FROM devices WHERE devices.id IS NOT NULL
  ), spans AS (
    SELECT id, (SELECT {time} FROM {table} WHERE {device} = id ORDER BY {time} LIMIT 1) AS oldest,
           (SELECT {time} FROM {table} WHERE {device} = id ORDER BY {time} DESC LIMIT 1) AS newest
      FROM devices WHERE id IS NOT NULL
  ), days AS (
    SELECT DISTINCT day FROM timescaledb_information.chunks, generate_series(
        time_bucket('1 day', range_start), range_end - interval '1 us', interval '1 day') AS day
      WHERE hypertable_schema = {schema} AND hypertable_name = {name} AND range_end > {since}::timestamptz
  )
  SELECT id, greatest(day, oldest), least(day + interval '1 day' - interval '1 us', newest)
    FROM spans JOIN days ON newest >= day AND oldest < day + interval '1 day'
      AND day + interval '1 day' > {since}::timestamptz""").format(
        log=changes_table(catalogue),
        columns=SQL(", ").join(map(Identifier, (DEVICE, FIRST, LAST))),
        table=table_of(catalogue),
        device=Identifier(catalogue.device),
        time=Identifier(catalogue.time),
        schema=Literal(catalogue.schema),
        name=Literal(catalogue.table),
        since=Literal(since),
    )


def new_metric_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Log every reading if a metric whose raw column exists is not in the tiers yet: it may hold values.

    A metric is in the tiers if the coarsest has its column and, for power and counters, if the energy tiers exist and
    have been filled with it (`energy_known_statements`). Run this before the hypertable and the tiers get their new
    columns, with the log in place.
    """
    has_column = "EXISTS (SELECT FROM pg_attribute WHERE attrelid = {} AND attname = {} AND NOT attisdropped)"
    coarsest = tier_table(catalogue, rollup_tiers(catalogue)[-1])
    needed = (coarsest, changes_table(catalogue), table_of(catalogue), state_table(catalogue))
    tier, log, table, state = (SQL("to_regclass({})").format(Literal(name.as_string())) for name in needed)
    # The inner condition names the state table, so it must not be planned where there is none.
    yield SQL(
        "DO $metrics$ BEGIN IF {tier} IS NOT NULL AND {log} IS NOT NULL AND {table} IS NOT NULL"
        " AND {state} IS NOT NULL THEN IF EXISTS (SELECT FROM (VALUES {metrics}) AS m (stored, rolled, energy)"
        " WHERE {stored} AND NOT ({rolled} AND (energy IS NULL OR {has_energy}))) THEN {everything}; END IF; END IF;"
        " END $metrics$"
    ).format(
        tier=tier,
        log=log,
        table=table,
        state=state,
        metrics=SQL(", ").join(
            SQL("({}, {}, {}::text)").format(
                Literal(metric.column),
                Literal(f"{metric.name}_count"),
                Literal(_energy_key(metric) if metric in energy_metrics(catalogue) else None),
            )
            for metric in catalogue.metrics
        ),
        stored=SQL(has_column).format(table, SQL("m.stored")),
        rolled=SQL(has_column).format(tier, SQL("m.rolled")),
        has_energy=SQL("{} AND EXISTS (SELECT FROM {} WHERE key = m.energy)").format(
            SQL(" AND ").join(
                SQL("to_regclass({}) IS NOT NULL").format(Literal(name.as_string()))
                for name in energy_tables(catalogue)
            ),
            state_table(catalogue),
        ),
        everything=log_everything_statement(catalogue),
    )


def energy_known_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Record in the state table which metrics the energy tiers have from now on. Run it after all others.

    A metric that leaves the catalogue or is no longer a power or a counter is removed, and logged again if it returns.
    """
    keys = [_energy_key(metric) for metric in energy_metrics(catalogue)]
    yield SQL("DELETE FROM {} WHERE starts_with(key, {}) AND key <> ALL ({}::text[])").format(
        state_table(catalogue), Literal(_ENERGY), Literal(keys)
    )
    yield SQL("INSERT INTO {} (key, value) SELECT unnest({}::text[]), now() ON CONFLICT DO NOTHING").format(
        state_table(catalogue), Literal(keys)
    )


_ENERGY = "energy "


def _energy_key(metric: Metric) -> str:
    return _ENERGY + metric.name


def _log_function(catalogue: Catalogue, event: str, source: LiteralString) -> Composed:
    names = {"device": Identifier(catalogue.device), "time": Identifier(catalogue.time)}
    body = SQL("""
  INSERT INTO {log} ({columns})
    SELECT {device}, min({time}), max({time}) FROM {source}
    GROUP BY {device}, date_bin('1 day', {time}, '1970-01-01Z');""").format(
        log=changes_table(catalogue),
        columns=SQL(", ").join(map(Identifier, (DEVICE, FIRST, LAST))),
        source=SQL(source).format(**names),
        **names,
    )
    return _function(catalogue, event, body)


def _truncate_function(catalogue: Catalogue) -> Composed:
    """TRUNCATE of the hypertable also empties the log and all tiers."""
    tables = SQL(", ").join(readable_tables(catalogue))
    return _function(catalogue, "truncate", SQL("\n  TRUNCATE {};").format(tables))


def _function(catalogue: Catalogue, event: str, body: Composable) -> Composed:
    return SQL(
        "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS $function$\nBEGIN{}\n  RETURN NULL;\nEND $function$"
    ).format(_name(catalogue, event), body)


def _trigger(catalogue: Catalogue, event: str, referencing: Composable) -> Composed:
    return SQL("CREATE OR REPLACE TRIGGER {} AFTER {} ON {} {} FOR EACH STATEMENT EXECUTE FUNCTION {}()").format(
        Identifier(f"{catalogue.table}_changes_{event}"),
        SQL(event.upper()),
        table_of(catalogue),
        referencing,
        _name(catalogue, event),
    )


def _name(catalogue: Catalogue, event: str) -> Identifier:
    return Identifier(catalogue.schema, f"{catalogue.table}_changes_{event}")
