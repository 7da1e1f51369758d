-- Run once by the image, when the database is first made: its owner, who is no superuser.
\getenv password ACCOUNTS_PASSWORD
CREATE ROLE wattstream_accounts LOGIN PASSWORD :'password';
ALTER DATABASE wattstream OWNER TO wattstream_accounts;
ALTER SCHEMA public OWNER TO wattstream_accounts;
