-- +goose Up

-- Accounts, under the names that an existing Papyrus database has.
CREATE TABLE users (
    user_id                uuid PRIMARY KEY,
    primary_email          text NOT NULL,
    primary_email_verified boolean NOT NULL DEFAULT false,
    display_name           text NOT NULL,
    avatar_url             text,
    plan                   text NOT NULL DEFAULT 'new',
    created_at             timestamptz NOT NULL,
    last_login_at          timestamptz,
    disabled_at            timestamptz
);
CREATE UNIQUE INDEX users_primary_email_key ON users (lower(primary_email));
CREATE INDEX users_created_at_idx ON users (created_at, user_id);

CREATE TABLE password_credentials (
    user_id             uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    password_hash       text NOT NULL,
    password_changed_at timestamptz NOT NULL
);

-- refresh_token_hash is set only in sessions that began before the tokens named their session and counter.
CREATE TABLE auth_sessions (
    session_id         uuid PRIMARY KEY,
    user_id            uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    refresh_token_hash text,
    counter            bigint NOT NULL DEFAULT 0 CHECK (counter >= 0),
    client_type        text NOT NULL,
    device_label       text,
    created_at         timestamptz NOT NULL,
    last_seen_at       timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL,
    revoked_at         timestamptz
);
CREATE INDEX auth_sessions_user_id_idx ON auth_sessions (user_id);
CREATE INDEX auth_sessions_ended_idx ON auth_sessions (coalesce(revoked_at, expires_at));

-- Keys, of which only the hash is kept, and the sealed answers for retries of their issuing.
CREATE TABLE api_keys (
    key_id       uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name         text NOT NULL,
    prefix       text NOT NULL,
    hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    tier         text NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_user_id_idx ON api_keys (user_id, created_at);

CREATE TABLE api_key_issues (
    user_id         uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    fingerprint     bytea NOT NULL CHECK (length(fingerprint) = 32),
    sealed          bytea NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
);
CREATE INDEX api_key_issues_expires_at_idx ON api_key_issues (expires_at);

-- Signed requests that were seen, and what they reported.
CREATE TABLE nonces (
    nonce      bytea PRIMARY KEY CHECK (length(nonce) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX nonces_expires_at_idx ON nonces (expires_at);

CREATE TABLE events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     text NOT NULL,
    action      text NOT NULL,
    sent_at     timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    verified    boolean NOT NULL,
    body        bytea NOT NULL
);
CREATE INDEX events_received_at_idx ON events (received_at, id);
CREATE INDEX events_user_id_idx ON events (user_id, received_at, id);

CREATE TABLE event_digests (
    digest      bytea PRIMARY KEY CHECK (length(digest) = 32),
    recorded_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX event_digests_expires_at_idx ON event_digests (expires_at);

-- Requests that must have their effect once, and the sealed answers of those that had it.
CREATE TABLE idempotency_claims (
    intent_key    bytea PRIMARY KEY CHECK (length(intent_key) = 32),
    account       text NOT NULL,
    fingerprint   bytea NOT NULL CHECK (length(fingerprint) = 32),
    owner         text NOT NULL,
    upstream_key  text NOT NULL,
    lease_ends_at timestamptz NOT NULL,
    answer        bytea,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX idempotency_claims_expires_at_idx ON idempotency_claims (expires_at);
CREATE INDEX idempotency_claims_account_idx ON idempotency_claims (account);
