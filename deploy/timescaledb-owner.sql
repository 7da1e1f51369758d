-- The image runs this once, when the database is created: the owner of the telemetry, which is not a superuser.
-- The schema command creates the role that may only SELECT.
\getenv password TELEMETRY_OWNER_PASSWORD
CREATE ROLE wattstream_owner LOGIN CREATEROLE PASSWORD :'password';
ALTER DATABASE wattstream OWNER TO wattstream_owner;
-- Everyone could create large objects, the server's role too. Only a superuser can revoke that.
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
