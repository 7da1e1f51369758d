#!/bin/sh
# Run once by the image, when the database is first made: the role by which a standby follows, and that it may.
# For a database that is there already:
#   docker compose exec timescaledb sh /docker-entrypoint-initdb.d/110_standby.sh
#   docker compose exec timescaledb sh -c 'psql -U postgres -c "SELECT pg_reload_conf()"'
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<'END'
\getenv password TELEMETRY_STANDBY_PASSWORD
CREATE ROLE wattstream_standby LOGIN REPLICATION PASSWORD :'password';
END
echo "host replication wattstream_standby all scram-sha-256" >>"$PGDATA/pg_hba.conf"
