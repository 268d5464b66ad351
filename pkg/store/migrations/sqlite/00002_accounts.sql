-- +goose Up

-- Replicas of the version before run on while this is done, and after: nothing that they read or write changes.

-- The key that took a key's place, in a rotation. Keys are never deleted but with their user.
ALTER TABLE api_keys ADD COLUMN replaced_by text;

CREATE TABLE user_preferences (
    user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    object  blob NOT NULL
) STRICT, WITHOUT ROWID;

-- Users at OpenID providers.
CREATE TABLE user_identities (
    identity_id                text PRIMARY KEY,
    user_id                    text NOT NULL REFERENCES users ON DELETE CASCADE,
    provider                   text NOT NULL,
    provider_subject           text NOT NULL,
    email_at_provider          text NOT NULL DEFAULT '',
    email_verified_at_provider integer NOT NULL DEFAULT 0 CHECK (email_verified_at_provider IN (0, 1)),
    created_at                 integer NOT NULL,
    last_used_at               integer,
    UNIQUE (provider, provider_subject)
) STRICT;
CREATE INDEX user_identities_user_id_idx ON user_identities (user_id, created_at);

-- Sign-ins at a provider that are under way, and those that an app may exchange. The columns of the identity are set where it
-- is to be linked.
CREATE TABLE oidc_states (
    state_hash     blob PRIMARY KEY CHECK (length(state_hash) = 32),
    redirect_uri   text NOT NULL,
    code_challenge text NOT NULL,
    user_id        text REFERENCES users ON DELETE CASCADE,
    nonce          text NOT NULL,
    verifier       text NOT NULL,
    browser_hash   blob NOT NULL CHECK (length(browser_hash) = 32),
    expires_at     integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oidc_states_user_id_idx ON oidc_states (user_id);
CREATE INDEX oidc_states_expires_at_idx ON oidc_states (expires_at);

CREATE TABLE auth_exchange_codes (
    code_hash                  blob PRIMARY KEY CHECK (length(code_hash) = 32),
    purpose                    text NOT NULL,
    user_id                    text NOT NULL REFERENCES users ON DELETE CASCADE,
    code_challenge             text NOT NULL,
    identity_id                text,
    provider                   text NOT NULL DEFAULT '',
    provider_subject           text NOT NULL DEFAULT '',
    email_at_provider          text NOT NULL DEFAULT '',
    email_verified_at_provider integer NOT NULL DEFAULT 0 CHECK (email_verified_at_provider IN (0, 1)),
    identity_created_at        integer,
    identity_last_used_at      integer,
    expires_at                 integer NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX auth_exchange_codes_user_id_idx ON auth_exchange_codes (user_id);
CREATE INDEX auth_exchange_codes_expires_at_idx ON auth_exchange_codes (expires_at);

-- What readers of an account's mail may do, and the mail that waits to be sent. token_hash is a SHA-256 in hex.
CREATE TABLE email_action_tokens (
    token_id    text PRIMARY KEY,
    user_id     text NOT NULL REFERENCES users ON DELETE CASCADE,
    action_type text NOT NULL,
    token_hash  text NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    expires_at  integer NOT NULL,
    used_at     integer,
    created_at  integer NOT NULL
) STRICT;
CREATE INDEX email_action_tokens_user_id_idx ON email_action_tokens (user_id);
CREATE INDEX email_action_tokens_ended_idx ON email_action_tokens (coalesce(used_at, expires_at));

CREATE TABLE mail_outbox (
    job_id      text PRIMARY KEY,
    kind        text NOT NULL,
    email       text NOT NULL,
    created_at  integer NOT NULL,
    next_try_at integer NOT NULL,
    attempts    integer NOT NULL,
    UNIQUE (email, kind)
) STRICT;
CREATE INDEX mail_outbox_next_try_at_idx ON mail_outbox (next_try_at);

-- Private keys, sealed.
CREATE TABLE signing_keys (
    key_use      text NOT NULL,
    key_id       text NOT NULL,
    sealed       blob NOT NULL,
    published_at integer NOT NULL,
    signs_from   integer NOT NULL,
    PRIMARY KEY (key_use, key_id)
) STRICT, WITHOUT ROWID;

-- Security events. They outlive the account that they concern. refusal_key is the SHA-256 of what equal refusals have in common.
CREATE TABLE audit_log (
    id          integer PRIMARY KEY AUTOINCREMENT,
    at          integer NOT NULL,
    kind        text NOT NULL,
    user_id     text NOT NULL DEFAULT '',
    session_id  text NOT NULL DEFAULT '',
    key_id      text NOT NULL DEFAULT '',
    network     text NOT NULL DEFAULT '',
    request_id  text NOT NULL DEFAULT '',
    detail      text NOT NULL DEFAULT '',
    count       integer NOT NULL DEFAULT 1,
    refusal_key blob UNIQUE CHECK (length(refusal_key) = 32)
) STRICT;
CREATE INDEX audit_log_at_idx ON audit_log (at);
CREATE INDEX audit_log_user_id_idx ON audit_log (user_id, id);
CREATE INDEX audit_log_kind_idx ON audit_log (kind, id);
