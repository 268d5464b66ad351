-- +goose Up

-- Replicas of the version before run on while this is done, and after: nothing that they read or write changes.

-- The key that took a key's place, in a rotation. Keys are never deleted but with their user.
ALTER TABLE api_keys ADD COLUMN replaced_by uuid;

CREATE TABLE user_preferences (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    object  bytea NOT NULL
);

-- Users at OpenID providers.
CREATE TABLE user_identities (
    identity_id                uuid PRIMARY KEY,
    user_id                    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    provider                   text NOT NULL,
    provider_subject           text NOT NULL,
    email_at_provider          text NOT NULL DEFAULT '',
    email_verified_at_provider boolean NOT NULL DEFAULT false,
    created_at                 timestamptz NOT NULL,
    last_used_at               timestamptz,
    UNIQUE (provider, provider_subject)
);
CREATE INDEX user_identities_user_id_idx ON user_identities (user_id, created_at);

-- Sign-ins at a provider that are under way, and those that an app may exchange. The columns of the identity are set where it
-- is to be linked.
CREATE TABLE oidc_states (
    state_hash     bytea PRIMARY KEY CHECK (length(state_hash) = 32),
    redirect_uri   text NOT NULL,
    code_challenge text NOT NULL,
    user_id        uuid REFERENCES users ON DELETE CASCADE,
    nonce          text NOT NULL,
    verifier       text NOT NULL,
    browser_hash   bytea NOT NULL CHECK (length(browser_hash) = 32),
    expires_at     timestamptz NOT NULL
);
CREATE INDEX oidc_states_user_id_idx ON oidc_states (user_id);
CREATE INDEX oidc_states_expires_at_idx ON oidc_states (expires_at);

CREATE TABLE auth_exchange_codes (
    code_hash                  bytea PRIMARY KEY CHECK (length(code_hash) = 32),
    purpose                    text NOT NULL,
    user_id                    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    code_challenge             text NOT NULL,
    identity_id                uuid,
    provider                   text NOT NULL DEFAULT '',
    provider_subject           text NOT NULL DEFAULT '',
    email_at_provider          text NOT NULL DEFAULT '',
    email_verified_at_provider boolean NOT NULL DEFAULT false,
    identity_created_at        timestamptz,
    identity_last_used_at      timestamptz,
    expires_at                 timestamptz NOT NULL
);
CREATE INDEX auth_exchange_codes_user_id_idx ON auth_exchange_codes (user_id);
CREATE INDEX auth_exchange_codes_expires_at_idx ON auth_exchange_codes (expires_at);

-- What readers of an account's mail may do, and the mail that waits to be sent. token_hash is a SHA-256 in hex.
CREATE TABLE email_action_tokens (
    token_id    uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    action_type text NOT NULL,
    token_hash  text NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    created_at  timestamptz NOT NULL
);
CREATE INDEX email_action_tokens_user_id_idx ON email_action_tokens (user_id);
CREATE INDEX email_action_tokens_ended_idx ON email_action_tokens (coalesce(used_at, expires_at));

CREATE TABLE mail_outbox (
    job_id      uuid PRIMARY KEY,
    kind        text NOT NULL,
    email       text NOT NULL,
    created_at  timestamptz NOT NULL,
    next_try_at timestamptz NOT NULL,
    attempts    integer NOT NULL,
    UNIQUE (email, kind)
);
CREATE INDEX mail_outbox_next_try_at_idx ON mail_outbox (next_try_at);

-- Private keys, sealed.
CREATE TABLE signing_keys (
    key_use      text NOT NULL,
    key_id       text NOT NULL,
    sealed       bytea NOT NULL,
    published_at timestamptz NOT NULL,
    signs_from   timestamptz NOT NULL,
    PRIMARY KEY (key_use, key_id)
);

-- Security events. They outlive the account that they concern. refusal_key is the SHA-256 of what equal refusals have in common.
CREATE TABLE audit_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    user_id     text NOT NULL DEFAULT '',
    session_id  text NOT NULL DEFAULT '',
    key_id      text NOT NULL DEFAULT '',
    network     text NOT NULL DEFAULT '',
    request_id  text NOT NULL DEFAULT '',
    detail      text NOT NULL DEFAULT '',
    count       bigint NOT NULL DEFAULT 1,
    refusal_key bytea UNIQUE CHECK (length(refusal_key) = 32)
);
CREATE INDEX audit_log_at_idx ON audit_log (at);
CREATE INDEX audit_log_user_id_idx ON audit_log (user_id, id);
CREATE INDEX audit_log_kind_idx ON audit_log (kind, id);
