-- +goose Up

-- Replicas of the version before run on while this is done, and after: nothing that they read or write changes.

-- Papyrus's books, where its database was adopted before books were synced: their columns get the types of ours, and what they lack of
-- ours. Rows, columns that only they have, references to them and publications stay. In any other database this does nothing.
-- +goose StatementBegin
DO $$
DECLARE
    had  text;
    item record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'books') THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint
        WHERE conrelid = 'books'::regclass AND contype = 'p' AND pg_get_constraintdef(oid) = 'PRIMARY KEY (book_id)') THEN
        RAISE EXCEPTION 'the table books has another primary key than Papyrus''s, which is book_id: change it, or rename the table';
    END IF;

    FOR item IN SELECT conname AS name FROM pg_constraint
        WHERE conrelid = 'books'::regclass AND (contype IN ('c', 'u', 'x') OR contype = 'f' AND confrelid = 'users'::regclass) LOOP
        EXECUTE format('ALTER TABLE books DROP CONSTRAINT %I', item.name);
    END LOOP;
    FOR item IN SELECT indexrelid::regclass AS name FROM pg_index
        WHERE indrelid = 'books'::regclass AND indisunique AND NOT indisprimary LOOP
        EXECUTE format('DROP INDEX %s', item.name);
    END LOOP;
    FOR item IN SELECT conname AS name FROM pg_constraint
        WHERE conrelid = 'books'::regclass AND contype = 'p' AND conname <> 'books_pkey' LOOP
        EXECUTE format('ALTER TABLE books RENAME CONSTRAINT %I TO books_pkey', item.name);
    END LOOP;
    ALTER INDEX IF EXISTS books_owner_idx RENAME TO books_owner_idx_papyrus;

    FOR item IN SELECT * FROM (VALUES
        ('book_id', 'uuid'), ('owner_user_id', 'uuid'), ('title', 'text'), ('subtitle', 'text'), ('author', 'text'),
        ('co_authors', 'jsonb'), ('isbn', 'text'), ('isbn13', 'text'), ('publisher', 'text'), ('language', 'text'),
        ('page_count', 'integer'), ('description', 'text'), ('cover_image_url', 'text'), ('reading_status', 'text'),
        ('current_page', 'integer'), ('current_position', 'double precision'), ('current_cfi', 'text'), ('is_favorite', 'boolean'),
        ('rating', 'integer'), ('custom_metadata', 'jsonb'), ('added_at', 'timestamp with time zone'),
        ('updated_at', 'timestamp with time zone'), ('op_id', 'bigint')) AS ours (name, kind) LOOP
        SELECT format_type(atttypid, atttypmod) INTO had FROM pg_attribute
            WHERE attrelid = 'books'::regclass AND attname = item.name AND NOT attisdropped;
        IF NOT FOUND THEN
            EXECUTE format('ALTER TABLE books ADD COLUMN %I %s', item.name, item.kind);
            CONTINUE;
        END IF;
        EXECUTE format('ALTER TABLE books ALTER COLUMN %I DROP DEFAULT', item.name);
        IF item.name <> 'book_id' THEN
            EXECUTE format('ALTER TABLE books ALTER COLUMN %I DROP NOT NULL', item.name);
        END IF;
        IF had = item.kind THEN
            CONTINUE;
        END IF;
        EXECUTE format('ALTER TABLE books ALTER COLUMN %1$I TYPE %2$s USING ' || CASE
            WHEN had LIKE 'timestamp%without time zone' AND item.kind = 'timestamp with time zone' THEN '%1$I AT TIME ZONE ''UTC'''
            WHEN item.kind = 'integer' AND (had = 'bigint' OR had LIKE 'numeric%')
                THEN 'CASE WHEN %1$I BETWEEN -2147483648 AND 2147483647 THEN %1$I::integer END'
            ELSE '%1$I::%2$s' END, item.name, item.kind);
    END LOOP;
    FOR item IN SELECT attname AS name FROM pg_attribute WHERE attrelid = 'books'::regclass AND attnum > 0 AND NOT attisdropped
        AND attnotnull AND NOT atthasdef AND attidentity = '' AND attname <> 'book_id' LOOP
        EXECUTE format('ALTER TABLE books ALTER COLUMN %I DROP NOT NULL', item.name); -- nobody writes it any more
    END LOOP;

    DELETE FROM books WHERE NOT EXISTS (SELECT FROM users WHERE user_id = owner_user_id); -- of accounts that were erased
    UPDATE books SET title = 'Untitled Book' WHERE title IS NULL OR title = '';
    UPDATE books SET is_favorite = false WHERE is_favorite IS NULL;
    UPDATE books SET added_at = now() WHERE added_at IS NULL OR NOT isfinite(added_at);
    UPDATE books SET updated_at = now() WHERE updated_at IS NULL OR NOT isfinite(updated_at);
    UPDATE books SET current_position = NULL WHERE current_position IN ('NaN', 'Infinity', '-Infinity');
    UPDATE books SET co_authors = CASE jsonb_typeof(co_authors) WHEN 'null' THEN NULL
        WHEN 'array' THEN (SELECT coalesce(jsonb_agg(name ORDER BY n), '[]') FROM jsonb_array_elements_text(co_authors)
            WITH ORDINALITY AS a (name, n) WHERE name IS NOT NULL)
        ELSE jsonb_build_array(co_authors #>> '{}') END WHERE co_authors IS NOT NULL;
    UPDATE books SET custom_metadata = CASE jsonb_typeof(custom_metadata) WHEN 'null' THEN NULL
        ELSE jsonb_build_object('value', custom_metadata) END WHERE jsonb_typeof(custom_metadata) <> 'object';

    ALTER TABLE books
        ALTER COLUMN owner_user_id SET NOT NULL, ALTER COLUMN title SET NOT NULL,
        ALTER COLUMN is_favorite SET NOT NULL, ALTER COLUMN is_favorite SET DEFAULT false,
        ALTER COLUMN added_at SET NOT NULL, ALTER COLUMN added_at SET DEFAULT now(),
        ALTER COLUMN updated_at SET NOT NULL, ALTER COLUMN updated_at SET DEFAULT now(),
        ADD FOREIGN KEY (owner_user_id) REFERENCES users ON DELETE CASCADE,
        ADD CHECK (abs(current_position) <= 1.7976931348623157e308);
END
$$;
-- +goose StatementEnd

-- A synced table. op_id is the operation that told devices of the row as it is; null where none has yet.
CREATE TABLE IF NOT EXISTS books (
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
    current_position double precision CHECK (abs(current_position) <= 1.7976931348623157e308), -- neither NaN nor infinite
    current_cfi      text,
    is_favorite      boolean NOT NULL DEFAULT false,
    rating           integer,
    custom_metadata  jsonb,
    added_at         timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    op_id            bigint
);
CREATE INDEX books_owner_idx ON books (owner_user_id, book_id);
CREATE INDEX books_untold_idx ON books (owner_user_id, book_id) WHERE op_id IS NULL;

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
CREATE INDEX sync_clients_user_idx ON sync_clients (user_id, heard_at);
CREATE INDEX sync_clients_heard_at_idx ON sync_clients (heard_at);

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
