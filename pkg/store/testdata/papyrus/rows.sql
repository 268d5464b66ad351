-- The password of both hashes is in the comment, and so are the tokens whose SHA-256 the other rows hold.

INSERT INTO alembic_version VALUES ('20260301_0007');

INSERT INTO users (user_id, display_name, primary_email, primary_email_verified, locale, last_login_at, disabled_at) VALUES
    ('a0000000-0000-4000-8000-000000000001', 'Reader', ' Reader@Example.COM', true, 'en', now() - interval '2 days', NULL),
    ('a0000000-0000-4000-8000-000000000002', 'Guest', 'guest@example.com', true, 'de', now() - interval '3 days', NULL),
    ('a0000000-0000-4000-8000-000000000003', 'Disabled', 'disabled@example.com', false, 'en', NULL, now() - interval '1 day');

INSERT INTO password_credentials (user_id, password_hash) VALUES
    ('a0000000-0000-4000-8000-000000000001', '$2b$04$f0lSt4gHmxXxI4Wz6ZimW.YpzUkheE.xQ.HNZXa3iLpw2E2b9unYC'), -- correct horse battery
    ('a0000000-0000-4000-8000-000000000003', '$2b$04$eF8zNvl.gt3abZm5pOM.yOlLp/G0TbnaHotRwKRBJuf0tgAFLMNfy'); -- another horse battery

-- The guest signs in with Google alone.
INSERT INTO user_identities (identity_id, user_id, provider, provider_subject, email_at_provider, email_verified_at_provider) VALUES
    ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'google', '110169484474386276334', 'guest@gmail.com', true),
    ('b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', 'google', '110169484474386276335', NULL, NULL);

INSERT INTO auth_sessions
    (session_id, user_id, refresh_token_hash, client_type, device_label, created_at, expires_at, revoked_at, last_seen_at) VALUES
    ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', -- papyrus-live-refresh-token-of-the-reader
     'a941e5185c29dbac37c3bd3dfaa0a65b61af94abf0ab316724188f92f82025b8', 'tablet', 'Pixel Tablet',
     now() - interval '10 days', now() + interval '20 days', NULL, '2026-03-20 12:00:00'),
    ('c0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', -- papyrus-revoked-refresh-token-of-reader
     '7799852dd7df627b67d6d238ad360f1010f1358f03c4fbeace451af2036fbce4', 'web', 'Firefox',
     now() - interval '10 days', now() + interval '20 days', now() - interval '5 days', NULL),
    ('c0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000001', -- papyrus-expired-refresh-token-of-reader
     '9e5157ddda3b65dc92600866970efa4df223015220167780d4fe81b77f5bf2cb', 'web', 'Firefox',
     now() - interval '40 days', now() - interval '10 days', NULL, NULL),
    ('c0000000-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000002', -- papyrus-live-refresh-token-of-the-guest
     upper('ceffa6555a7de454fe485120564e0869723eecdf19224eaaad8839d6961eb620'), NULL, NULL,
     now() - interval '400 days', now() + interval '5 days', NULL, NULL);

INSERT INTO auth_exchange_codes (code_id, user_id, code_hash, purpose, expires_at) VALUES
    ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', repeat('0', 64), 'login', now() - interval '1 day');

INSERT INTO email_action_tokens (token_id, user_id, action_type, token_hash, expires_at, used_at) VALUES
    ('e0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'reset_password', -- papyrus-reset-token-of-the-reader
     'bf11cc3b8010a75a8b01b32dc7a3db0db5297526261744ddb8f0364206f5f498', now() + interval '1 hour', NULL),
    ('e0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', 'verify_email', repeat('1', 64), now() + interval '1 hour', now()),
    ('e0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000003', 'verify_email', repeat('2', 64), now() - interval '1 hour', NULL);

INSERT INTO books (book_id, owner_user_id, title, co_authors, custom_metadata, current_position, page_count, shelf, added_at, updated_at) VALUES
    ('f0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'Middlemarch', '[]', NULL, 0.25, 880, 'A 7',
     '2026-01-02 03:04:05.6789+00', '2026-01-02 05:04:05+02'),
    ('f0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', '', '"Mary Ann Evans"', '["x"]', 'NaN', NULL, 'A 7',
     '-infinity', 'infinity'),
    ('f0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000002', 'Good Omens', '["Terry Pratchett", null, 7]', '{"b": 1, "aa": "ü"}',
     'Infinity', NULL, 'B 1', '2026-01-02 03:04:05+00', '2026-01-02 03:04:05+00'),
    ('f0000000-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000002', 'Untold', 'null', 'null', NULL, NULL, 'B 1',
     '2026-01-02 03:04:05+00', '2026-01-02 03:04:05+00');
