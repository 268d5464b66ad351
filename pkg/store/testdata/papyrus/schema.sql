-- A database as the Papyrus server makes it, by SQLAlchemy and alembic: names by a naming convention, varchar(n), an enum by
-- CHECK, and one column whose time has no zone.

CREATE TABLE alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE users (
    user_id                uuid NOT NULL,
    display_name           varchar(100) NOT NULL,
    avatar_url             varchar(2048),
    primary_email          varchar(255) NOT NULL,
    primary_email_verified boolean NOT NULL,
    locale                 varchar(16) NOT NULL,
    created_at             timestamptz DEFAULT now() NOT NULL,
    updated_at             timestamptz DEFAULT now() NOT NULL,
    last_login_at          timestamptz,
    disabled_at            timestamptz,
    CONSTRAINT pk_users PRIMARY KEY (user_id),
    CONSTRAINT uq_users_primary_email UNIQUE (primary_email)
);
CREATE INDEX ix_users_last_login_at ON users (last_login_at);

CREATE TABLE password_credentials (
    user_id             uuid NOT NULL,
    password_hash       varchar(255) NOT NULL,
    password_changed_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_password_credentials PRIMARY KEY (user_id),
    CONSTRAINT fk_password_credentials_user_id_users FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
);

CREATE TABLE user_identities (
    identity_id                uuid NOT NULL,
    user_id                    uuid NOT NULL,
    provider                   varchar(32) NOT NULL,
    provider_subject           varchar(255) NOT NULL,
    email_at_provider          varchar(255),
    email_verified_at_provider boolean,
    created_at                 timestamptz DEFAULT now() NOT NULL,
    last_used_at               timestamptz,
    CONSTRAINT pk_user_identities PRIMARY KEY (identity_id),
    CONSTRAINT uq_user_identities_provider_provider_subject UNIQUE (provider, provider_subject),
    CONSTRAINT uq_user_identities_user_id_provider UNIQUE (user_id, provider),
    CONSTRAINT fk_user_identities_user_id_users FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE INDEX ix_user_identities_user_id ON user_identities (user_id);

CREATE TABLE auth_sessions (
    session_id         uuid NOT NULL,
    user_id            uuid NOT NULL,
    refresh_token_hash varchar(64) NOT NULL,
    client_type        varchar(16),
    device_label       varchar(255),
    created_at         timestamptz DEFAULT now() NOT NULL,
    expires_at         timestamptz NOT NULL,
    revoked_at         timestamptz,
    last_seen_at       timestamp,
    CONSTRAINT pk_auth_sessions PRIMARY KEY (session_id),
    CONSTRAINT ck_auth_sessions_client_type CHECK (client_type IN ('mobile', 'desktop', 'web', 'tablet')),
    CONSTRAINT fk_auth_sessions_user_id_users FOREIGN KEY (user_id) REFERENCES users (user_id)
);
CREATE UNIQUE INDEX ix_auth_sessions_refresh_token_hash ON auth_sessions (refresh_token_hash);
CREATE INDEX ix_auth_sessions_user_id ON auth_sessions (user_id);

CREATE TABLE auth_exchange_codes (
    code_id    uuid NOT NULL,
    user_id    uuid NOT NULL,
    code_hash  varchar(64) NOT NULL,
    purpose    varchar(16) NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_auth_exchange_codes PRIMARY KEY (code_id),
    CONSTRAINT uq_auth_exchange_codes_code_hash UNIQUE (code_hash),
    CONSTRAINT fk_auth_exchange_codes_user_id_users FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
);

CREATE TABLE email_action_tokens (
    token_id    uuid NOT NULL,
    user_id     uuid NOT NULL,
    action_type varchar(32) NOT NULL,
    token_hash  varchar(64) NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    created_at  timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_email_action_tokens PRIMARY KEY (token_id),
    CONSTRAINT uq_email_action_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_email_action_tokens_user_id_users FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
);

CREATE TABLE books (
    book_id          uuid NOT NULL,
    owner_user_id    uuid NOT NULL,
    title            varchar(500) NOT NULL,
    subtitle         varchar(500),
    author           varchar(255),
    co_authors       jsonb,
    isbn             varchar(10),
    isbn13           varchar(13),
    publisher        varchar(255),
    language         varchar(35),
    page_count       integer,
    description      text,
    cover_image_url  varchar(2048),
    reading_status   varchar(32) DEFAULT 'notStarted' NOT NULL,
    current_page     integer,
    current_position double precision,
    current_cfi      varchar(1024),
    is_favorite      boolean DEFAULT false NOT NULL,
    rating           integer,
    custom_metadata  jsonb,
    shelf            varchar(32) NOT NULL,
    added_at         timestamptz DEFAULT now() NOT NULL,
    updated_at       timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_books PRIMARY KEY (book_id),
    CONSTRAINT ck_books_rating CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT fk_books_owner_user_id_users FOREIGN KEY (owner_user_id) REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE INDEX ix_books_owner_user_id ON books (owner_user_id);
CREATE UNIQUE INDEX ix_books_owner_isbn13 ON books (owner_user_id, isbn13);
CREATE TABLE reviews (
    book_id uuid NOT NULL,
    review  text NOT NULL,
    CONSTRAINT fk_reviews_book_id_books FOREIGN KEY (book_id) REFERENCES books (book_id) ON DELETE CASCADE
);
CREATE PUBLICATION powersync FOR TABLE books;
