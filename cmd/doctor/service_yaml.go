package doctor

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/library"
)

// serviceYAML is as much of a PowerSync Service's settings as concerns provisioner. Its values may be !env NAME.
type serviceYAML struct {
	ClientAuth struct {
		JWKSURI   oneOrMore `yaml:"jwks_uri"`
		Audience  oneOrMore `yaml:"audience"`
		BlockJWKS bool      `yaml:"block_local_jwks"`
	} `yaml:"client_auth"`
	SyncConfig struct {
		Path string `yaml:"path"`
	} `yaml:"sync_config"`
	SyncRules struct {
		Path string `yaml:"path"`
	} `yaml:"sync_rules"` // the older name
}

// oneOrMore is a text or a list of texts.
type oneOrMore []yaml.Node

// UnmarshalYAML implements [yaml.Unmarshaler].
func (o *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			*o = append(*o, *item)
		}
		return nil
	}
	*o = oneOrMore{*n}
	return nil
}

// texts returns the values, and whether all are known: the environment of the service need not be ours.
func (o oneOrMore) texts(lookup func(string) (string, bool)) (texts []string, known bool) {
	known = true
	for _, n := range o {
		text := n.Value
		if n.Tag == "!env" {
			var set bool
			text, set = lookup(n.Value)
			known = known && set
		}
		texts = append(texts, text)
	}
	return texts, known
}

// serviceSettings compares the service's own settings with those here.
func serviceSettings(ctx context.Context, in *Installation) []Finding {
	path := in.PowerSyncService
	if path == "" || !in.serves(config.Papyrus) || in.Config.PublicBaseURL == nil { // the last is a fault of config
		return nil
	}
	var s serviceYAML
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return []Finding{failure(path, "cannot be read", "name the service.yaml of the PowerSync Service")}
	}
	if err := yaml.Unmarshal(text, &s); err != nil {
		return []Finding{failure(path, "is not YAML as the service reads it", "begin with config/powersync/service.yaml")}
	}
	found := s.judgeAudience(in, path)
	found = append(found, s.judgeKeys(ctx, in, path)...)
	return append(found, s.judgeStreams(path)...)
}

func (s *serviceYAML) judgeAudience(in *Installation, path string) []Finding {
	audience := in.Config.PowerSync.Audience
	texts, known := s.ClientAuth.Audience.texts(in.LookupEnv)
	if slices.Contains(texts, audience) || !known {
		return nil
	}
	return []Finding{failure(path, "does not accept the audience "+strconv.Quote(audience)+" of POWERSYNC_JWT_AUDIENCE: every token is refused (PSYNC_S2105)",
		"client_auth: audience: ["+audience+"]")}
}

func (s *serviceYAML) judgeKeys(ctx context.Context, in *Installation, path string) []Finding {
	addresses, known := s.ClientAuth.JWKSURI.texts(in.LookupEnv)
	if !known {
		return []Finding{notice(path, "takes jwks_uri from an environment that is not set here", "run this check with the environment of the service")}
	}
	want := jwksURL(in.Config)
	var found []Finding
	if !slices.Contains(addresses, want) {
		found = append(found, warning(path, "does not fetch its keys from "+want, "set client_auth.jwks_uri to it, unless the service reaches papyrus by another address"))
	}
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && s.ClientAuth.BlockJWKS && private(ctx, u.Hostname()) {
			found = append(found, failure(path, "fetches keys from a private address, and block_local_jwks forbids it (PSYNC_S2204)",
				"client_auth: block_local_jwks: false"))
		}
	}
	return found
}

// judgeStreams looks for a stream of each synced table.
func (s *serviceYAML) judgeStreams(path string) []Finding {
	name := s.SyncConfig.Path
	if name == "" {
		name = s.SyncRules.Path
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	text, err := os.ReadFile(name) //nolint:gosec // beside the file that the operator names
	var sync struct {
		Streams map[string]yaml.Node `yaml:"streams"`
		Buckets map[string]yaml.Node `yaml:"bucket_definitions"` // the older form
	}
	if err != nil || yaml.Unmarshal(text, &sync) != nil {
		return []Finding{failure(path, "names a sync configuration that cannot be read", "put config/powersync/sync-config.yaml beside it")}
	}
	var found []Finding
	for _, table := range library.Tables {
		_, stream := sync.Streams[table.Stream()]
		_, bucket := sync.Buckets[table.Stream()]
		if !stream && !bucket {
			found = append(found, failure(name, fmt.Sprintf("has no stream %s: devices get no %s", table.Stream(), table.Name), "take it from config/powersync/sync-config.yaml"))
		}
	}
	return found
}
