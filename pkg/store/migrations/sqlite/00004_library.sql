-- +goose Up

-- Replicas of the version before run on while this is done, and after: nothing that they read or write changes.

-- A synced table. op_id is the operation that told devices of the row as it is; null where none has yet. Times are text, as devices
-- get them.
CREATE TABLE books (
    book_id          text PRIMARY KEY,
    owner_user_id    text NOT NULL REFERENCES users ON DELETE CASCADE,
    title            text NOT NULL,
    subtitle         text,
    author           text,
    co_authors       text,
    isbn             text,
    isbn13           text,
    publisher        text,
    language         text,
    page_count       integer,
    description      text,
    cover_image_url  text,
    reading_status   text,
    current_page     integer,
    current_position real CHECK (abs(current_position) <= 1.7976931348623157e308), -- not infinite
    current_cfi      text,
    is_favorite      integer NOT NULL DEFAULT 0 CHECK (is_favorite IN (0, 1)),
    rating           integer,
    custom_metadata  text,
    added_at         text NOT NULL,
    updated_at       text NOT NULL,
    op_id            integer
) STRICT;
CREATE INDEX books_owner_idx ON books (owner_user_id, book_id);
CREATE INDEX books_untold_idx ON books (owner_user_id, book_id) WHERE op_id IS NULL;

-- The ID of a user's last operation. Whoever writes operations holds this row from before it takes IDs to the end of its
-- transaction, so that they become visible in their order.
CREATE TABLE sync_heads (
    user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    head    integer NOT NULL
) STRICT, WITHOUT ROWID;

-- The operations of one user in one stream. void counts those that a later one made so since the last compaction; compacted is the
-- head at that.
CREATE TABLE sync_buckets (
    bucket_id integer PRIMARY KEY,
    user_id   text NOT NULL REFERENCES users ON DELETE CASCADE,
    stream    text NOT NULL,
    checksum  integer NOT NULL,
    count     integer NOT NULL,
    void      integer NOT NULL DEFAULT 0,
    compacted integer NOT NULL DEFAULT 0,
    UNIQUE (user_id, stream)
) STRICT;
CREATE INDEX sync_buckets_void_idx ON sync_buckets (void) WHERE void > 0;

CREATE TABLE sync_ops (
    bucket_id  integer NOT NULL REFERENCES sync_buckets ON DELETE CASCADE,
    op_id      integer NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('PUT', 'REMOVE', 'MOVE', 'CLEAR')),
    table_name text NOT NULL DEFAULT '',
    object_id  text NOT NULL DEFAULT '',
    checksum   integer NOT NULL,
    data       blob,
    PRIMARY KEY (bucket_id, op_id)
) STRICT, WITHOUT ROWID;

-- Write checkpoints of clients, of whatever name.
CREATE TABLE sync_clients (
    user_id          text NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id        text NOT NULL,
    write_checkpoint integer NOT NULL,
    heard_at         integer NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sync_clients_user_idx ON sync_clients (user_id, heard_at);
CREATE INDEX sync_clients_heard_at_idx ON sync_clients (heard_at);

-- Rows that were deleted do not come back.
CREATE TABLE sync_tombstones (
    user_id    text NOT NULL REFERENCES users ON DELETE CASCADE,
    table_name text NOT NULL,
    object_id  text NOT NULL,
    deleted_at integer NOT NULL,
    PRIMARY KEY (user_id, table_name, object_id)
) STRICT, WITHOUT ROWID;

-- Uploads that were answered, by session and what was in them.
CREATE TABLE sync_uploads (
    session_id  text NOT NULL REFERENCES auth_sessions ON DELETE CASCADE,
    digest      blob NOT NULL CHECK (length(digest) = 32),
    answer      blob NOT NULL,
    answered_at integer NOT NULL,
    PRIMARY KEY (session_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX sync_uploads_answered_at_idx ON sync_uploads (answered_at);

CREATE TABLE sync_dead_letters (
    letter_id   text PRIMARY KEY,
    user_id     text NOT NULL REFERENCES users ON DELETE CASCADE,
    session_id  text NOT NULL,
    received_at integer NOT NULL,
    rejected    blob NOT NULL,
    body        blob NOT NULL,
    size        integer NOT NULL
) STRICT;
CREATE INDEX sync_dead_letters_user_idx ON sync_dead_letters (user_id, received_at, letter_id);
CREATE INDEX sync_dead_letters_received_at_idx ON sync_dead_letters (received_at, letter_id);
