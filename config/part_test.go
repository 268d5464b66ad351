package config_test

import (
	"testing"

	"github.com/provisioner/provisioner/config"
)

func TestLoadPartCountsOnlyTheNamedSettings(t *testing.T) {
	environment := map[string]string{"DATABASE_URL": "postgres://db.internal/app", "TIERS": "nonsense"}
	options := config.Options{
		Service: config.Papyrus, Dir: t.TempDir(),
		LookupEnv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
	}

	c, _, err := config.LoadPart(options, "DATABASE_URL")
	if err != nil || c.Database.Engine != config.Postgres {
		t.Errorf("LoadPart() without the secrets that Postgres asks for = %+v, %v", c, err)
	}
	if _, _, err := config.LoadPart(options, "DATABASE_URL", "TIERS"); err == nil {
		t.Error("a fault of a named setting does not count")
	}
}

// A directory of secrets that is gone must not count as one without secrets: the keyring would fall back to another form,
// and commands to another database.
func TestPartsWantTheSecretsThatAreConfigured(t *testing.T) {
	environment := map[string]string{"SECRETS_DIR": "gone", "SHARED_SECRET": "0123456789abcdef0123456789abcdef"}
	options := config.Options{
		Service: config.Receiver, Dir: t.TempDir(),
		LookupEnv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
	}
	if _, _, err := config.Reload(options); err == nil {
		t.Error("Reload() goes on without the secrets")
	}
	if _, _, err := config.LoadPart(options, "DATABASE_URL"); err == nil {
		t.Error("LoadPart() goes on without the secrets")
	}
}
