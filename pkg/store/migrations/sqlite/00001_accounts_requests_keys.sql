-- +goose Up

-- Times are microseconds since 1970 in UTC, ids are UUIDs in lower case.

-- Accounts, under the names that an existing Papyrus database has.
CREATE TABLE users (
    user_id                text PRIMARY KEY,
    primary_email          text NOT NULL,
    primary_email_verified integer NOT NULL DEFAULT 0 CHECK (primary_email_verified IN (0, 1)),
    display_name           text NOT NULL,
    avatar_url             text,
    plan                   text NOT NULL DEFAULT 'new',
    created_at             integer NOT NULL,
    last_login_at          integer,
    disabled_at            integer
) STRICT;
CREATE UNIQUE INDEX users_primary_email_key ON users (lower(primary_email));
CREATE INDEX users_created_at_idx ON users (created_at, user_id);

CREATE TABLE password_credentials (
    user_id             text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    password_hash       text NOT NULL,
    password_changed_at integer NOT NULL
) STRICT, WITHOUT ROWID;

-- refresh_token_hash is set only in sessions that began before the tokens named their session and counter.
CREATE TABLE auth_sessions (
    session_id         text PRIMARY KEY,
    user_id            text NOT NULL REFERENCES users ON DELETE CASCADE,
    refresh_token_hash text,
    counter            integer NOT NULL DEFAULT 0 CHECK (counter >= 0),
    client_type        text NOT NULL,
    device_label       text,
    created_at         integer NOT NULL,
    last_seen_at       integer NOT NULL,
    expires_at         integer NOT NULL,
    ends_at            integer NOT NULL,
    revoked_at         integer
) STRICT;
CREATE INDEX auth_sessions_user_id_idx ON auth_sessions (user_id);
CREATE INDEX auth_sessions_ended_idx ON auth_sessions (coalesce(revoked_at, expires_at));

-- Keys, of which only the hash is kept, and the sealed answers for retries of their issuing.
CREATE TABLE api_keys (
    key_id       text PRIMARY KEY,
    user_id      text NOT NULL REFERENCES users ON DELETE CASCADE,
    name         text NOT NULL,
    prefix       text NOT NULL,
    hash         blob NOT NULL UNIQUE CHECK (length(hash) = 32),
    tier         text NOT NULL,
    created_at   integer NOT NULL,
    last_used_at integer,
    expires_at   integer,
    revoked_at   integer
) STRICT;
CREATE INDEX api_keys_user_id_idx ON api_keys (user_id, created_at);

CREATE TABLE api_key_issues (
    user_id         text NOT NULL REFERENCES users ON DELETE CASCADE,
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    fingerprint     blob NOT NULL CHECK (length(fingerprint) = 32),
    sealed          blob NOT NULL,
    expires_at      integer NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_issues_expires_at_idx ON api_key_issues (expires_at);

-- Signed requests that were seen, and what they reported.
CREATE TABLE nonces (
    nonce      blob PRIMARY KEY CHECK (length(nonce) = 32),
    expires_at integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_expires_at_idx ON nonces (expires_at);

CREATE TABLE events (
    id          integer PRIMARY KEY AUTOINCREMENT,
    user_id     text NOT NULL,
    action      text NOT NULL,
    sent_at     integer NOT NULL,
    received_at integer NOT NULL,
    verified    integer NOT NULL CHECK (verified IN (0, 1)),
    body        blob NOT NULL
) STRICT;
CREATE INDEX events_received_at_idx ON events (received_at, id);
CREATE INDEX events_user_id_idx ON events (user_id, received_at, id);

CREATE TABLE event_digests (
    digest      blob PRIMARY KEY CHECK (length(digest) = 32),
    recorded_at integer NOT NULL,
    expires_at  integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX event_digests_expires_at_idx ON event_digests (expires_at);

-- Requests that must have their effect once, and the sealed answers of those that had it.
CREATE TABLE idempotency_claims (
    intent_key    blob PRIMARY KEY CHECK (length(intent_key) = 32),
    account       text NOT NULL,
    fingerprint   blob NOT NULL CHECK (length(fingerprint) = 32),
    owner         text NOT NULL,
    upstream_key  text NOT NULL,
    lease_ends_at integer NOT NULL,
    answer        blob,
    expires_at    integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_claims_expires_at_idx ON idempotency_claims (expires_at);
CREATE INDEX idempotency_claims_account_idx ON idempotency_claims (account);
