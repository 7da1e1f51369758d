"""Rollup tiers kept by statement-level triggers: what works in every edition of TimescaleDB. Pure: builds SQL.

An inserted row is added to its bucket of each tier; after an update or a delete the touched buckets are made again
from what is there now. Correct under concurrency, because a tier's row is locked before anything is read for it:
whoever has changed raw rows of a bucket and committed has also changed the tier's row, and whoever has not yet will
find the lock, and add to what was made. No deadlocks, because everyone locks in one order: finest tier first, then
device, then bucket.

Only rows that are really inserted are in a transition table; those that ON CONFLICT DO NOTHING leaves out are not.
Dropping chunks fires no trigger, so tiers outlive the readings; DELETE and TRUNCATE take them along.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.ddl import table_of
from telemetry.tiers import BUCKET, COUNT, DEVICE, Tier, columns_of, names_of, tier_table, tiers_of

# A tier's newest rows are updated with every batch: room for the next version of a row on the same page (HOT).
FILL_FACTOR = 70
# Set for the rest of a transaction that has made buckets again; see `_insert_function`.
_REMADE = "wattstream.remade"
_EPOCH = SQL("'1970-01-01 00:00:00+00'::timestamptz")
_NONE = SQL("")
_KEY = SQL("{}, {}").format(Identifier(DEVICE), Identifier(BUCKET))


def trigger_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Tables, functions and triggers. Each is safe to repeat."""
    for tier in tiers_of(catalogue):
        yield from _table_statements(catalogue, tier)
    yield _recompute_function(catalogue)
    yield _insert_function(catalogue)
    yield _change_function(catalogue)
    yield _truncate_function(catalogue)
    new, old = SQL(" NEW TABLE AS new_rows"), SQL(" OLD TABLE AS old_rows")
    yield _trigger(catalogue, "insert", SQL("REFERENCING{}").format(new), "insert")
    yield _trigger(catalogue, "update", SQL("REFERENCING{}{}").format(new, old), "change")
    yield _trigger(catalogue, "delete", SQL("REFERENCING{}").format(old), "change")
    yield _trigger(catalogue, "truncate", _NONE, "truncate")


def recompute_function(catalogue: Catalogue) -> Identifier:
    """`(devices text[], moments timestamptz[])`: make the buckets of these moments again, in every tier."""
    return Identifier(catalogue.schema, f"{catalogue.table}_tiers_recompute")


def _table_statements(catalogue: Catalogue, tier: Tier) -> Iterator[Composed]:
    """The device comes last: behind a column of fixed length the next one is found at once, behind a text it is not."""
    table = tier_table(catalogue, tier)
    columns = [SQL("{} {}").format(Identifier(column.name), SQL(column.type)) for column in columns_of(catalogue)]
    yield SQL(
        "CREATE TABLE IF NOT EXISTS {table} ({b} timestamptz NOT NULL,\n    {columns},\n    {d} text NOT NULL,"
        " PRIMARY KEY ({d}, {b})) WITH (fillfactor = {fill_factor})"
    ).format(
        table=table,
        columns=SQL(",\n    ").join(columns),
        fill_factor=Literal(FILL_FACTOR),
        b=Identifier(BUCKET),
        d=Identifier(DEVICE),
    )
    added = SQL(", ").join(SQL("ADD COLUMN IF NOT EXISTS {}").format(column) for column in columns)
    yield SQL("ALTER TABLE {} {}").format(table, added)


def _insert_function(catalogue: Catalogue) -> Composed:
    """Add the inserted rows to each tier, in one statement: `d` is what came in, `i` puts it where it belongs.

    INSERT … ON CONFLICT DO UPDATE fires the update's trigger first, which makes its buckets again with the rows
    inserted beside it; adding those once more would count them twice. So from then on a transaction makes again.
    """
    parts: list[Composable] = []
    source: Composable = SQL("new_rows")
    for tier in tiers_of(catalogue):
        number = SQL(str(tier.seconds))
        parts.append(SQL("d{} AS MATERIALIZED ({})").format(number, _grouped(catalogue, tier, source)))
        parts.append(
            SQL("i{0} AS ({1} RETURNING 1)").format(number, _upsert(catalogue, tier, SQL("d{}").format(number)))
        )
        # Reading what an INSERT returns is what makes the next tier wait for it: the order of locks.
        source = SQL("d{0} WHERE (SELECT count(*) FROM i{0}) >= 0").format(number)
    body = SQL("""
  IF current_setting({remade}, true) = 'on' THEN
    PERFORM {recompute}(array_agg({device}), array_agg({time})) FROM new_rows;
  ELSE
    WITH {parts}
    SELECT count(*) FROM i{last} INTO added;
  END IF;
  RETURN NULL;""").format(
        remade=Literal(_REMADE),
        recompute=recompute_function(catalogue),
        device=Identifier(catalogue.device),
        time=Identifier(catalogue.time),
        parts=SQL(",\n    ").join(parts),
        last=number,
    )
    return _function(_function_name(catalogue, "insert"), "trigger", body, SQL("added bigint;"))


def _grouped(catalogue: Catalogue, tier: Tier, source: Composable) -> Composed:
    """The buckets of a tier from the rows inserted, or from the buckets of the tier before it."""
    is_finest = tier == tiers_of(catalogue)[0]
    return SQL("SELECT {bucket} AS {b}, {device} AS {d}, {columns} FROM {source} GROUP BY 1, 2").format(
        bucket=binned(tier, Identifier(catalogue.time if is_finest else BUCKET)),
        device=Identifier(catalogue.device if is_finest else DEVICE),
        columns=_made(catalogue, tier),
        source=source,
        b=Identifier(BUCKET),
        d=Identifier(DEVICE),
    )


def _made(catalogue: Catalogue, tier: Tier) -> Composed:
    """The columns of a tier, made of what the tier is made of: raw rows for the finest, else the tier before it."""
    is_finest = tier == tiers_of(catalogue)[0]
    return SQL(", ").join(
        SQL("{} AS {}").format(column.raw if is_finest else column.merged, Identifier(column.name))
        for column in columns_of(catalogue)
    )


def _upsert(catalogue: Catalogue, tier: Tier, source: Composable) -> Composed:
    columns = columns_of(catalogue)
    return SQL(
        "INSERT INTO {table} AS t ({names}) SELECT {names} FROM {source} ORDER BY {key}"
        " ON CONFLICT ({key}) DO UPDATE SET {joined}"
    ).format(
        table=tier_table(catalogue, tier),
        names=names_of(columns),
        source=source,
        key=_KEY,
        joined=SQL(", ").join(SQL("{} = {}").format(Identifier(column.name), column.joined) for column in columns),
    )


def _recompute_function(catalogue: Catalogue) -> Composed:
    """For each tier: lock the touched buckets (making those that are missing), make them again, drop the empty ones.

    Three statements, because each has a snapshot of its own: the second must see what was committed while the first
    waited for its locks.
    """
    finest = tiers_of(catalogue)[0]
    span = SQL("""
  SELECT min(moment) - {length}::interval, max(moment) + {length}::interval INTO lowest, highest
    FROM unnest(moments) AS m (moment);""").format(length=Literal(finest.interval))
    body = span + SQL("").join(_remake(catalogue, index) for index in range(len(tiers_of(catalogue))))
    name = SQL("{}(devices text[], moments timestamptz[])").format(recompute_function(catalogue))
    return _function(name, "void", body, SQL("lowest timestamptz; highest timestamptz;"))


def _remake(catalogue: Catalogue, index: int) -> Composed:
    tiers = tiers_of(catalogue)
    tier = tiers[index]
    if index == 0:
        source, device, time = table_of(catalogue), catalogue.device, catalogue.time
        # Already in the buckets' bounds, but these are known before the first bucket: they leave out the other chunks.
        span = SQL("\n        AND s.{0} >= lowest AND s.{0} < highest").format(Identifier(time))
    else:
        source, device, time = tier_table(catalogue, tiers[index - 1]), DEVICE, BUCKET
        span = _NONE.format()
    names = [Identifier(column.name) for column in columns_of(catalogue)]
    return SQL("""
  INSERT INTO {table} AS t ({d}, {b}, {count}) SELECT {d}, {b}, 0 FROM {touched} ORDER BY {d}, {b}
    ON CONFLICT ({d}, {b}) DO UPDATE SET {count} = t.{count};
  UPDATE {table} AS t SET {assigned}
    FROM {touched} CROSS JOIN LATERAL (
      SELECT {made} FROM {source} AS s
      WHERE s.{device} = touched.{d} AND s.{time} >= touched.{b} AND s.{time} < touched.{b} + {length}::interval{span}
    ) AS found
    WHERE t.{d} = touched.{d} AND t.{b} = touched.{b};
  DELETE FROM {table} AS t USING {touched}
    WHERE t.{d} = touched.{d} AND t.{b} = touched.{b} AND t.{count} = 0;""").format(
        table=tier_table(catalogue, tier),
        touched=_touched(tier),
        assigned=SQL(", ").join(SQL("{0} = found.{0}").format(name) for name in names),
        made=_made(catalogue, tier),
        source=source,
        device=Identifier(device),
        time=Identifier(time),
        length=Literal(tier.interval),
        span=span,
        count=Identifier(COUNT),
        d=Identifier(DEVICE),
        b=Identifier(BUCKET),
    )


def _touched(tier: Tier) -> Composed:
    """The buckets of the function's arguments."""
    return SQL(
        "(SELECT DISTINCT device AS {}, {} AS {} FROM unnest(devices, moments) AS m (device, moment)) AS touched"
    ).format(Identifier(DEVICE), binned(tier, SQL("moment")), Identifier(BUCKET))


def _change_function(catalogue: Catalogue) -> Composed:
    """Updated rows count where they were and where they are now."""
    call = SQL("PERFORM {}(array_agg({}), array_agg({})) FROM {};")
    remade = {
        rows: call.format(
            recompute_function(catalogue), Identifier(catalogue.device), Identifier(catalogue.time), SQL(rows)
        )
        for rows in ("old_rows", "(SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows) AS changed")
    }
    body = SQL("""
  PERFORM set_config({}, 'on', true);
  IF TG_OP = 'DELETE' THEN {} ELSE {} END IF;
  RETURN NULL;""").format(Literal(_REMADE), *remade.values())
    return _function(_function_name(catalogue, "change"), "trigger", body)


def _truncate_function(catalogue: Catalogue) -> Composed:
    tables = SQL(", ").join(tier_table(catalogue, tier) for tier in tiers_of(catalogue))
    body = SQL("\n  TRUNCATE {};\n  RETURN NULL;").format(tables)
    return _function(_function_name(catalogue, "truncate"), "trigger", body)


def _function_name(catalogue: Catalogue, event: str) -> Composed:
    return SQL("{}()").format(Identifier(catalogue.schema, f"{catalogue.table}_tiers_{event}"))


def _function(signature: Composable, returns: str, body: Composable, variables: Composable = _NONE) -> Composed:
    # Metrics may have any name; where one is the name of a variable the column is meant.
    return SQL(
        "CREATE OR REPLACE FUNCTION {} RETURNS {} LANGUAGE plpgsql AS $function$ #variable_conflict use_column\n"
        "DECLARE {}\nBEGIN{}\nEND $function$"
    ).format(signature, SQL(returns), variables, body)


def _trigger(catalogue: Catalogue, event: str, referencing: Composable, function: str) -> Composed:
    return SQL("CREATE OR REPLACE TRIGGER {} AFTER {} ON {} {} FOR EACH STATEMENT EXECUTE FUNCTION {}").format(
        Identifier(f"{catalogue.table}_tiers_{event}"),
        SQL(event.upper()),
        table_of(catalogue),
        referencing,
        _function_name(catalogue, function),
    )


def binned(tier: Tier, moment: Composable) -> Composed:
    """The start of the tier's bucket that holds a moment."""
    return SQL("date_bin({}::interval, {}, {})").format(Literal(tier.interval), moment, _EPOCH)
