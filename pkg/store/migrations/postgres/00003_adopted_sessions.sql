-- +goose NO TRANSACTION
-- +goose Up

-- Built beside the writes of others. One that was interrupted leaves an index that is no good, and goes first.
DROP INDEX CONCURRENTLY IF EXISTS auth_sessions_refresh_token_hash_idx;
CREATE INDEX CONCURRENTLY auth_sessions_refresh_token_hash_idx ON auth_sessions (refresh_token_hash) WHERE refresh_token_hash IS NOT NULL;
