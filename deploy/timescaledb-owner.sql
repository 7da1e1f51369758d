-- The image runs this once, when the database is created: the owner of the telemetry, which is not a superuser.
-- The schema command creates the role that may only SELECT.
\getenv password TELEMETRY_OWNER_PASSWORD
CREATE ROLE wattstream_owner LOGIN CREATEROLE PASSWORD :'password';
ALTER DATABASE wattstream OWNER TO wattstream_owner;
