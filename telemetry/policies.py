"""Compression and retention of raw readings, for TimescaleDB's Timescale edition. Pure: builds SQL.

Reconciled each time: a policy that exists gets the catalogue's interval, one that the catalogue does not name is
removed. The tiers are ordinary tables; the rollup deletes their old rows in every edition.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.ddl import regclass, table_of


def policy_statement(catalogue: Catalogue) -> Composed:
    """Does nothing in the Apache edition, which rejects policies."""
    compression = _reconciled(catalogue, "compression", "compress_after", catalogue.compress_after)
    retention = _reconciled(catalogue, "retention", "drop_after", catalogue.keep.get("raw"))
    return SQL(
        "DO $policies$ DECLARE job int; BEGIN\n"
        "IF current_setting('timescaledb.license') <> 'timescale' THEN RETURN; END IF;\n"
        "IF NOT (SELECT compression_enabled FROM timescaledb_information.hypertables"
        " WHERE hypertable_schema = {schema} AND hypertable_name = {name}) THEN\n"
        "ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = {device},"
        " timescaledb.compress_orderby = {time});\nEND IF;\n{compression}\n{retention}\nEND $policies$"
    ).format(
        schema=Literal(catalogue.schema),
        name=Literal(catalogue.table),
        table=table_of(catalogue),
        device=Literal(Identifier(catalogue.device).as_string()),
        time=Literal(Identifier(catalogue.time).as_string()),
        compression=compression,
        retention=retention,
    )


def _reconciled(catalogue: Catalogue, policy: str, key: str, interval: str | None) -> Composed:
    find = SQL(
        "job := (SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_schema = {} AND hypertable_name = {}"
        " AND proc_name = {});"
    ).format(Literal(catalogue.schema), Literal(catalogue.table), Literal(f"policy_{policy}"))
    table = regclass(catalogue, catalogue.table)
    if interval is None:
        return find + SQL("IF job IS NOT NULL THEN PERFORM remove_{}_policy({}); END IF;").format(SQL(policy), table)
    return find + SQL(
        "IF job IS NULL THEN PERFORM add_{policy}_policy({table}, {key} => {interval}::interval);\n"
        "ELSE PERFORM alter_job(job, config => (SELECT config || jsonb_build_object({name}, {interval}::interval)"
        " FROM timescaledb_information.jobs WHERE job_id = job)); END IF;"
    ).format(policy=SQL(policy), table=table, key=SQL(key), name=Literal(key), interval=Literal(interval))
