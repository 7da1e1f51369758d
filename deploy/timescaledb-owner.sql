-- Run once by the image, when the database is new: the role that owns the telemetry, and is no superuser.
-- The schema command makes the role that may only SELECT.
\getenv password TELEMETRY_OWNER_PASSWORD
CREATE ROLE wattstream_owner LOGIN CREATEROLE PASSWORD :'password';
ALTER DATABASE wattstream OWNER TO wattstream_owner;
