-- The image runs this once, when the database is created: its owner, which is not a superuser.
\getenv password ACCOUNTS_PASSWORD
CREATE ROLE wattstream_accounts LOGIN PASSWORD :'password';
ALTER DATABASE wattstream OWNER TO wattstream_accounts;
ALTER SCHEMA public OWNER TO wattstream_accounts;
