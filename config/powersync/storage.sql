-- Where a PowerSync Service keeps what it makes of the changes: a database of its own, which no other role gets into. The role has
-- no rights in provisioner's database. Run it as a superuser, on the same server or on another (Postgres 14 or later).
--
--   psql -v ON_ERROR_STOP=1 -f storage.sql postgres
--   psql -c '\password powersync_storage' postgres

\set ON_ERROR_STOP on

SELECT 'CREATE ROLE powersync_storage WITH LOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'powersync_storage') \gexec

SELECT 'CREATE DATABASE powersync_storage OWNER powersync_storage'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'powersync_storage') \gexec

REVOKE ALL ON DATABASE powersync_storage FROM PUBLIC;
