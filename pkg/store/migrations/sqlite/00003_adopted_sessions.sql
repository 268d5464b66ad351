-- +goose Up

CREATE INDEX auth_sessions_refresh_token_hash_idx ON auth_sessions (refresh_token_hash) WHERE refresh_token_hash IS NOT NULL;
