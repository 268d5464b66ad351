-- What config/powersync/README.md has an operator do by hand, for compose.yaml. It may be run again.
\set ON_ERROR_STOP on
\ir source.sql
\ir storage.sql
\set replication_password `cat /run/secrets/POWERSYNC_REPLICATION_PASSWORD`
\set storage_password `cat /run/secrets/POWERSYNC_STORAGE_PASSWORD`
ALTER ROLE powersync_replication PASSWORD :'replication_password';
ALTER ROLE powersync_storage PASSWORD :'storage_password';
