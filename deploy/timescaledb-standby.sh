#!/bin/sh
# The image runs this once, when the database is created: the replication role of a standby, and its access rule.
# For an existing database:
#   docker compose exec timescaledb sh /docker-entrypoint-initdb.d/110_standby.sh
#   docker compose exec timescaledb sh -c 'psql -U postgres -c "SELECT pg_reload_conf()"'
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<'END'
\getenv password TELEMETRY_STANDBY_PASSWORD
CREATE ROLE wattstream_standby LOGIN REPLICATION PASSWORD :'password';
END
echo "host replication wattstream_standby all scram-sha-256" >>"$PGDATA/pg_hba.conf"
