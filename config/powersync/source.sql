-- What a PowerSync Service may read of provisioner's database: the synced tables, and nothing else. Run it in that database, as its
-- owner and superuser, once provisioner has made its tables; and again when a table is added here.
--
--   psql -v ON_ERROR_STOP=1 -f source.sql "$DATABASE_URL"
--   psql -c '\password powersync_replication' "$DATABASE_URL"

\set ON_ERROR_STOP on
BEGIN;

-- The service follows the write-ahead log: wal_level must be "logical". It is a member of nothing.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'powersync_replication') THEN
        CREATE ROLE powersync_replication WITH LOGIN REPLICATION;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'powersync') THEN
        CREATE PUBLICATION powersync; -- of no tables yet; the service knows it by this name
    END IF;
END
$$;

-- What was granted before is taken away: no default privileges, no tables that are no longer synced.
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM powersync_replication;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM powersync_replication;

-- The synced tables, in both statements.
ALTER PUBLICATION powersync SET TABLE books;
GRANT SELECT ON books TO powersync_replication;

COMMIT;
