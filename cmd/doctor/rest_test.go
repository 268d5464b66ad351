package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/provisioner/provisioner/cmd/doctor"
	"github.com/provisioner/provisioner/config"
)

// TestAtRest changes one thing of a sound installation at a time.
func TestAtRest(t *testing.T) {
	const all, sender, receiver, papyrus = config.All, config.Sender, config.Receiver, config.Papyrus
	for _, tt := range []struct {
		name    string
		service config.Service
		changes settings
		want    []string
	}{
		{"a sound sender", sender, nil, nil},
		{"a sound receiver", receiver, nil, nil},
		{"a sound papyrus", papyrus, nil, nil},
		{"serve all with nothing set", all, nil, nil},

		{"a placeholder", receiver, settings{"SEAL_KEY": "changeme-changeme-changeme-changeme"}, []string{"error: SEAL_KEY is a placeholder"}},
		{
			"what it is, in the place of what it should be", all,
			settings{"REFRESH_TOKEN_KEY": "our-very-own-Refresh-Secret-of-2026!"},
			[]string{"error: REFRESH_TOKEN_KEY is a placeholder"},
		},
		{
			"an example", all,
			settings{"SEAL_KEY": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
			[]string{"error: SEAL_KEY is an example that everybody can read"},
		},
		{"one letter", all, settings{"SEAL_KEY": strings.Repeat("a", 64)}, []string{"error: SEAL_KEY repeats itself or counts up"}},
		{"one part again and again", all, settings{"SEAL_KEY": strings.Repeat("k9Q-zt", 9)}, []string{"error: SEAL_KEY repeats itself or counts up"}},
		{"the alphabet", all, settings{"SEAL_KEY": "abcdefghijklmnopqrstuvwxyz0123456789"}, []string{"error: SEAL_KEY repeats itself or counts up"}},
		{"short, in development mode", all, settings{"DEV_MODE": "true", "SHARED_SECRET": "kX93ax"}, []string{"warning: SHARED_SECRET has fewer than 32 bytes"}},
		{
			"the second of two signing keys", receiver,
			settings{"SIGNING_KEYS": `{"k1":"` + keyA + `","k2":"` + strings.Repeat("ab", 20) + `"}`},
			[]string{"error: SIGNING_KEYS (key 2 of 2, in the order of their ids) repeats itself or counts up"},
		},
		{"a short secret of a project", receiver, settings{"SUPABASE_JWT_SECRET": "kX93ax"}, []string{"error: SUPABASE_JWT_SECRET has fewer than 32 bytes"}},
		{
			"the secret that Supabase ships for development", receiver,
			settings{"SUPABASE_JWT_SECRET": "super-secret-jwt-token-with-at-least-32-characters-long"},
			[]string{"error: SUPABASE_JWT_SECRET is an example that everybody can read"},
		},
		{"a password left open", papyrus, mail(settings{"SMTP_PASSWORD": "<your password>"}), []string{"error: SMTP_PASSWORD is a placeholder"}},
		{"a short password", papyrus, mail(settings{"SMTP_PASSWORD": "kX93ax"}), []string{"warning: SMTP_PASSWORD has fewer than 12 characters"}},
		{
			"the password in a URL", papyrus, onPostgres(settings{"DATABASE_URL": "postgres://app:p%40ss@db/app"}),
			[]string{"warning: DATABASE_URL (its password) has fewer than 12 characters"},
		},

		{"one secret for two things", all, settings{"SEAL_KEY": keyA, "REFRESH_TOKEN_KEY": keyA}, []string{"error: REFRESH_TOKEN_KEY is the same as SEAL_KEY"}},
		{"a signing key that everybody knows", receiver, settings{"SUPABASE_ANON_KEY": keyA}, []string{"error: SUPABASE_ANON_KEY is the same as SIGNING_KEYS"}},
		{
			"two ids of one key", receiver,
			settings{"SIGNING_KEYS": `{"k1":"` + keyA + `","k2":"` + keyA + `"}`},
			[]string{"error: SIGNING_KEYS (key 2 of 2, in the order of their ids) is the same as SIGNING_KEYS (key 1 of 2"},
		},

		{
			"the service key, by its role", receiver,
			settings{"SUPABASE_ANON_KEY": jwt(`{"role":"service_role"}`)},
			[]string{"error: SUPABASE_ANON_KEY is the project's service key"},
		},
		{"the service key, by its prefix", sender, settings{"SUPABASE_ANON_KEY": "sb_secret_abc"}, []string{"error: SUPABASE_ANON_KEY is the project's service key"}},
		{"the anon key", receiver, settings{"SUPABASE_ANON_KEY": jwt(`{"role":"anon"}`)}, nil},

		{
			"development mode on all interfaces", all,
			settings{"DEV_MODE": "true", "SENDER_ADDR": ":8787"},
			[]string{"error: DEV_MODE eases the rules on secrets"},
		},
		{
			"development mode behind a proxy", papyrus,
			settings{"DEV_MODE": "true", "PUBLIC_BASE_URL": "https://api.example.com"},
			[]string{"error: DEV_MODE eases the rules on secrets"},
		},
		{"development mode on this machine", all, settings{"DEV_MODE": "true"}, nil},

		{"a wildcard of origins", sender, settings{"ALLOWED_ORIGINS_JSON": `["https://*.example.com"]`}, []string{"notice: ALLOWED_ORIGINS_JSON allows https"}},

		{
			"a receiver by plain http, with leave", sender,
			settings{"RECEIVER_WORKER_URL": "http://receiver.example.com", "ALLOW_INSECURE_RECEIVER": "true"},
			[]string{"warning: RECEIVER_WORKER_URL is plain http outside this host and cluster"},
		},
		{"a receiver of this cluster, with leave", sender, settings{"RECEIVER_WORKER_URL": "http://receiver", "ALLOW_INSECURE_RECEIVER": "true"}, nil},
		{
			"a project by plain http", receiver,
			settings{"SUPABASE_URL": "http://project.example.com"},
			[]string{"error: SUPABASE_URL is plain http outside this host and cluster"},
		},
		{"a project of this cluster", receiver, settings{"SUPABASE_URL": "http://papyrus.accounts.svc.cluster.local"}, nil},
		{"a public address of plain http", papyrus, settings{"PUBLIC_BASE_URL": "http://api.example.com", "POWERSYNC_SERVICE_URL": ""}, []string{
			"warning: PUBLIC_BASE_URL is plain http outside this machine", "warning: POWERSYNC_SERVICE_URL is plain http outside this machine",
		}},
		{
			"Postgres elsewhere without TLS", papyrus, onPostgres(settings{"DATABASE_URL": "postgres://app:" + keyD + "@db.example.com/app"}),
			[]string{"warning: DATABASE_URL lets the connection be without TLS"},
		},
		{
			"Postgres elsewhere, one of two hosts", papyrus, onPostgres(settings{"DATABASE_URL": "postgres://app@127.0.0.1:1,db.example.com:5432/app?sslmode=prefer"}),
			[]string{"warning: DATABASE_URL lets the connection be without TLS"},
		},
		{"Postgres elsewhere with TLS", papyrus, onPostgres(settings{"DATABASE_URL": "postgres://app@db.example.com/app?sslmode=verify-full"}), nil},
		{"Redis elsewhere without TLS", papyrus, settings{"REDIS_URL": "redis://cache.example.com:6379"}, []string{"warning: REDIS_URL is without TLS"}},
		{"Redis elsewhere with TLS", papyrus, settings{"REDIS_URL": "rediss://cache.example.com:6379"}, nil},
		{"mail without TLS", papyrus, mail(settings{"SMTP_TLS": "none"}), []string{"error: SMTP_TLS is none for a mail server outside this host and cluster"}},
		{"mail on this machine", papyrus, mail(settings{"SMTP_TLS": "none", "SMTP_HOST": "127.0.0.1"}), nil},
		{"mail on this machine by IPv6", papyrus, mail(settings{"SMTP_TLS": "none", "SMTP_HOST": "::1"}), nil},
		{"mail in this cluster", papyrus, mail(settings{"SMTP_TLS": "none", "SMTP_HOST": "mail"}), nil},
		{"mail on another machine by IPv6", papyrus, mail(settings{"SMTP_TLS": "none", "SMTP_HOST": "2001:db8::1"}), []string{"error: SMTP_TLS is none for a mail server outside this host and cluster"}},

		{"everybody is a proxy", papyrus, settings{"TRUSTED_PROXIES": "0.0.0.0/0"}, []string{"error: TRUSTED_PROXIES believes everybody (0.0.0.0/0)"}},
		{"a network of proxies", papyrus, settings{"TRUSTED_PROXIES": "10.0.0.0/8"}, nil},
		{"no limit, for others", papyrus, settings{"RATE_LIMIT_AUTH": "off", "PAPYRUS_ADDR": ":8080"}, []string{"warning: RATE_LIMIT_AUTH is off"}},
		{"no limit, on this machine", papyrus, settings{"RATE_LIMIT_AUTH": "off"}, nil},
		{"metrics for others", papyrus, settings{"ADMIN_ADDR": ":9090"}, []string{"notice: ADMIN_ADDR is reachable from other machines"}},

		{"each replica by itself", all, onPostgres(settings{"REDIS_URL": ""}), []string{
			"notice: SIGNING_KEYS is not set", "notice: REDIS_URL is not set",
		}},

		{"PowerSync without tokens", papyrus, powerSync(settings{"POWERSYNC_JWT_AUDIENCE": ""}), []string{"error: POWERSYNC_JWT_AUDIENCE is empty"}},
		{
			"PowerSync with hasty tokens", papyrus, powerSync(settings{"POWERSYNC_TOKEN_EXPIRE_MINUTES": "1"}),
			[]string{"notice: POWERSYNC_TOKEN_EXPIRE_MINUTES makes devices open their stream anew all the time"},
		},
		{
			"PowerSync that cannot fetch keys", papyrus, powerSync(settings{"PUBLIC_BASE_URL": "http://localhost:8080"}),
			[]string{"error: PUBLIC_BASE_URL is this machine's alone"},
		},
		{"PowerSync as it should be", papyrus, powerSync(nil), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := load(t, tt.service, tt.changes)
			wantFindings(t, doctor.AtRest(t.Context(), in), tt.want, tt.changes["SEAL_KEY"], tt.changes["SMTP_PASSWORD"], "p%40ss", keyA, keyD)
		})
	}
}

// mail is a mail server beside changes.
func mail(changes settings) settings {
	return over(settings{
		"SMTP_HOST": "mail.example.com", "SMTP_USERNAME": "app", "SMTP_PASSWORD": keyB, "SMTP_FROM_EMAIL": "app@example.com",
		"APP_PUBLIC_BASE_URL": "https://app.example.com",
	}, changes)
}

// onPostgres is a database beside changes, with what replicas share.
func onPostgres(changes settings) settings {
	return over(settings{
		"DATABASE_URL": "postgres://app@db/app", "SEAL_KEY": keyB, "REFRESH_TOKEN_KEY": keyC, "REDIS_URL": "redis://cache:6379",
	}, changes)
}

// powerSync is a PowerSync Service beside changes.
func powerSync(changes settings) settings {
	return onPostgres(over(settings{
		"PUBLIC_BASE_URL": "https://api.example.com", "POWERSYNC_SERVICE_URL": "https://sync.example.com",
	}, changes))
}

func over(base, changes settings) settings {
	for name, value := range changes {
		base[name] = value
	}
	return base
}

// TestFaultsAndWarningsOfConfig: the audit says what config check says, too.
func TestFaultsAndWarningsOfConfig(t *testing.T) {
	in := load(t, config.Sender, settings{
		"RECEIVER_WORKER_URL": "http://receiver.example.com", "ALLOWED_ORIGINS_JSON": `["*"]`,
		"KEY_ROTATION_DATES": `{"k1":"2020-01-31"}`, "SIGNING_KEYS": `{"k1":"short"}`,
	})
	text := strings.Join(short(doctor.Settings(in)), "\n")
	for _, want := range []string{
		"error: RECEIVER_WORKER_URL is plain http", "error: ALLOWED_ORIGINS_JSON has an origin (number 1) that is *",
		"error: SIGNING_KEYS has a secret of fewer than 32 bytes", "warning: KEY_ROTATION_DATES says that key \"k1\" is",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no finding %q in\n%s", want, text)
		}
	}
}

func TestSharedBetweenEnvironments(t *testing.T) {
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	if err := os.Mkdir(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(secrets, "SIGNING_KEYS"), `{"other":"`+keyA+`"}`, 0o600)
	write(t, filepath.Join(secrets, "SEAL_KEY"), keyC, 0o600)
	for _, tt := range []struct {
		name, place string
		want        []string
	}{
		{"a directory of secrets", secrets, []string{"error: SIGNING_KEYS is the same as SIGNING_KEYS of " + secrets}},
		{
			"a key as another setting", write(t, filepath.Join(dir, ".dev.vars"), "SEAL_KEY="+keyA+"\n", 0o600),
			[]string{"error: SIGNING_KEYS is the same as SEAL_KEY of " + filepath.Join(dir, ".dev.vars")},
		},
		{
			"an environment of a Wrangler file", write(t, filepath.Join(dir, "wrangler.toml"),
				"[env.production.vars]\nSUPABASE_ANON_KEY=\"sb_publishable_x\"\n", 0o600) + "#production",
			[]string{"warning: SUPABASE_ANON_KEY is the same as SUPABASE_ANON_KEY of " + filepath.Join(dir, "wrangler.toml#production")},
		},
		{"nothing in common", write(t, filepath.Join(dir, "other.vars"), "SHARED_SECRET="+keyD+"\n", 0o600), nil},
		{
			"one database", write(t, filepath.Join(dir, "db.vars"), "DATABASE_URL=postgres://app@db/app\n", 0o600),
			[]string{"warning: DATABASE_URL is the same in " + filepath.Join(dir, "db.vars")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other, err := config.LoadFrom(tt.place)
			if err != nil {
				t.Fatal(err)
			}
			in := load(t, config.Receiver, settings{"DATABASE_URL": "postgres://app@db/app", "SEAL_KEY": keyB})
			in.Against = []doctor.Other{{Name: tt.place, Config: other}}
			wantFindings(t, doctor.AtRest(t.Context(), in), tt.want, keyA)
		})
	}
}

// TestSecretsThatAreCommitted: [vars] of a Wrangler file are no place for them.
func TestSecretsThatAreCommitted(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "wrangler.toml"), "[vars]\nSEAL_KEY = \""+keyB+"\"\nBODY_LIMIT = 1000\n", 0o600)
	o := config.Options{Service: config.All, Dir: dir, LookupEnv: func(string) (string, bool) { return "", false }}
	cfg, report, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	in := &doctor.Installation{Config: cfg, Report: report}
	wantFindings(t, doctor.AtRest(t.Context(), in), []string{"error: SEAL_KEY is a secret in wrangler.toml [vars]"}, keyB)
}

func TestModesOfFiles(t *testing.T) {
	type file struct {
		path string
		mode os.FileMode
	}
	for _, tt := range []struct {
		name string
		file file
		want string
	}{
		{"the data directory is private", file{"data", 0o700}, ""},
		{"the data directory is listed by others", file{"data", 0o755}, "warning: data can be read by others than its owner (DATA_DIR)"},
		{"the database is read by the group", file{"data/provisioner.db", 0o640}, "warning: data/provisioner.db can be read by others than its owner (DATABASE_URL)"},
		{"a generated key is read by all", file{"data/seal-key", 0o604}, "warning: data/seal-key can be read by others than its owner (DATA_DIR)"},
		{"a secret for the group, as Kubernetes mounts it", file{"secrets/SEAL_KEY", 0o440}, ""},
		{"a secret for all", file{"secrets/SEAL_KEY", 0o444}, "warning: secrets/SEAL_KEY can be read by others than its owner (SECRETS_DIR)"},
		{"a secret that the group changes", file{"secrets/SEAL_KEY", 0o660}, "error: secrets/SEAL_KEY can be changed by others than its owner (SECRETS_DIR)"},
		{".dev.vars for the group", file{".dev.vars", 0o640}, "warning: .dev.vars can be read by others than its owner (.dev.vars)"},
		{"a key file for all", file{"key.pem", 0o604}, "warning: key.pem can be read by others than its owner (POWERSYNC_JWT_PRIVATE_KEY_FILE)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, sub := range []string{"data", "secrets"} {
				if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, tt.file.path)
			if tt.file.path != "data" {
				write(t, path, "", 0o600)
			}
			if err := os.Chmod(path, tt.file.mode); err != nil {
				t.Fatal(err)
			}
			env := settings{"DATA_DIR": "data", "SECRETS_DIR": "secrets", "POWERSYNC_JWT_PRIVATE_KEY_FILE": "key.pem"}
			o := config.Options{Service: config.All, Dir: dir, LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
			cfg, report, err := config.LoadPart(o)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if tt.want != "" {
				severity, rest, _ := strings.Cut(tt.want, ": ")
				want = []string{severity + ": " + filepath.Join(dir, rest)}
			}
			wantFindings(t, doctor.AtRest(t.Context(), &doctor.Installation{Config: cfg, Report: report}), want)
		})
	}
}
