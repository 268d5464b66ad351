-- +goose Up

-- Replicas of the version before run on while this is done, and after: nothing that they read or write changes.

-- A synced table. op_id is the operation that told devices of the row as it is; null where none has yet.
CREATE TABLE books (
    book_id          uuid PRIMARY KEY,
    owner_user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    title            text NOT NULL,
    subtitle         text,
    author           text,
    co_authors       jsonb,
    isbn             text,
    isbn13           text,
    publisher        text,
    language         text,
    page_count       integer,
    description      text,
    cover_image_url  text,
    reading_status   text,
    current_page     integer,
    current_position double precision,
    current_cfi      text,
    is_favorite      boolean NOT NULL DEFAULT false,
    rating           integer,
    custom_metadata  jsonb,
    added_at         timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    op_id            bigint
);
CREATE INDEX books_owner_idx ON books (owner_user_id, book_id);
CREATE INDEX books_untold_idx ON books (book_id) WHERE op_id IS NULL;

-- The ID of a user's last operation. Whoever writes operations holds this row from before it takes IDs to the end of its
-- transaction, so that they become visible in their order.
CREATE TABLE sync_heads (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    head    bigint NOT NULL
);

-- The operations of one user in one stream. void counts those that a later one made so since the last compaction; compacted is the
-- head at that.
CREATE TABLE sync_buckets (
    bucket_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id   uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    stream    text NOT NULL,
    checksum  bigint NOT NULL,
    count     bigint NOT NULL,
    void      bigint NOT NULL DEFAULT 0,
    compacted bigint NOT NULL DEFAULT 0,
    UNIQUE (user_id, stream)
);
CREATE INDEX sync_buckets_void_idx ON sync_buckets (void) WHERE void > 0;

CREATE TABLE sync_ops (
    bucket_id  bigint NOT NULL REFERENCES sync_buckets ON DELETE CASCADE,
    op_id      bigint NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('PUT', 'REMOVE', 'MOVE', 'CLEAR')),
    table_name text NOT NULL DEFAULT '',
    object_id  text NOT NULL DEFAULT '',
    checksum   bigint NOT NULL,
    data       bytea,
    PRIMARY KEY (bucket_id, op_id)
);

-- Write checkpoints of clients, of whatever name.
CREATE TABLE sync_clients (
    user_id          uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id        text NOT NULL,
    write_checkpoint bigint NOT NULL,
    heard_at         timestamptz NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX sync_clients_heard_at_idx ON sync_clients (user_id, heard_at);

-- Rows that were deleted do not come back.
CREATE TABLE sync_tombstones (
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    table_name text NOT NULL,
    object_id  uuid NOT NULL,
    deleted_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, table_name, object_id)
);

-- Uploads that were answered, by session and what was in them.
CREATE TABLE sync_uploads (
    session_id  uuid NOT NULL REFERENCES auth_sessions ON DELETE CASCADE,
    digest      bytea NOT NULL CHECK (length(digest) = 32),
    answer      bytea NOT NULL,
    answered_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, digest)
);
CREATE INDEX sync_uploads_answered_at_idx ON sync_uploads (answered_at);

CREATE TABLE sync_dead_letters (
    letter_id   uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    session_id  uuid NOT NULL,
    received_at timestamptz NOT NULL,
    rejected    bytea NOT NULL,
    body        bytea NOT NULL,
    size        bigint NOT NULL
);
CREATE INDEX sync_dead_letters_user_idx ON sync_dead_letters (user_id, received_at, letter_id);
CREATE INDEX sync_dead_letters_received_at_idx ON sync_dead_letters (received_at, letter_id);
