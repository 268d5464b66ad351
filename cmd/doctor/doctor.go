// Package doctor audits an installation: what its settings say together, its files, its peers, its database and what a PowerSync Service
// beside it would refuse. It only looks: it changes nothing, and sends no secret anywhere but a database's password to the database.
package doctor

import (
	"context"
	"net/http"
	"time"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/store"
)

// Severity says how bad a finding is.
type Severity string

// The severities. An error is unsafe or does not work; a warning should not stay so; a notice is good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Finding is one thing that the audit found. None of its texts holds a secret.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`   // the name of the check: "secret strength"
	Subject  string   `json:"subject"` // the setting, or the file
	Problem  string   `json:"problem"` // completes the subject: "is not set"
	Remedy   string   `json:"remedy"`
}

// Installation is what is audited.
type Installation struct {
	Config  *config.Config // as far as it can be read: what is not, is one of the Faults
	Faults  config.Faults
	Report  *config.Report
	Against []Other

	PowerSyncService string // the path of a PowerSync Service's service.yaml; "" for none
	LookupEnv        func(name string) (string, bool)

	Transport http.RoundTripper
	Open      func(ctx context.Context) (*store.DB, error) // opens the database and changes nothing
	Now       func() time.Time
}

// Other is another environment, with which this one must share no key.
type Other struct {
	Name   string
	Config *config.Config
}

// serves reports whether the installation runs one of the services.
func (in *Installation) serves(s config.Service) bool { return in.Config.Service&(s|config.All) != 0 }

// check is a row of the tables below. Its findings need no Check: that is the row's name.
type check struct {
	name string
	run  func(ctx context.Context, in *Installation) []Finding
}

// atRest are the checks that read settings and files, and take no time.
var atRest = []check{
	{"secret strength", weakSecrets},
	{"secrets reused", reusedSecrets},
	{"secrets shared between environments", sharedSecrets},
	{"secrets in the right place", misplacedSecrets},
	{"modes of files", openFiles},
	{"development mode", developmentMode},
	{"origins", wideOrigins},
	{"plain text connections", plainConnections},
	{"proxies and limits", openDoors},
	{"replicas", replicas},
	{"PowerSync settings", powerSyncSettings},
	{"PowerSync Service's settings", serviceSettings},
}

// outside are the checks that ask others.
var outside = []check{
	{"peers", peers},
	{"keys of the provider", providerKeys},
	{"mail server", mailServer},
	{"Redis", redisServer},
	{"database", database},
	{"PowerSync keys", publishedKeys},
}

// Settings returns what config has found by itself, as findings.
func Settings(in *Installation) []Finding {
	var found []Finding
	for _, f := range in.Faults {
		found = append(found, Finding{Error, "settings", f.Setting, f.Problem, f.Remedy})
	}
	for _, w := range in.Report.Warnings {
		found = append(found, Finding{Warning, "settings", w.Setting, w.Problem, w.Remedy})
	}
	return found
}

// AtRest returns what settings and files show, beside what config has found by itself.
func AtRest(ctx context.Context, in *Installation) []Finding { return run(ctx, in, atRest) }

// Outside returns what peers, databases and other servers show. Each is asked for some seconds at most.
func Outside(ctx context.Context, in *Installation) []Finding { return run(ctx, in, outside) }

func run(ctx context.Context, in *Installation, checks []check) []Finding {
	var found []Finding
	for _, c := range checks {
		for _, f := range c.run(ctx, in) {
			f.Check = c.name
			found = append(found, f)
		}
	}
	return found
}

func failure(subject, problem, remedy string) Finding {
	return Finding{Severity: Error, Subject: subject, Problem: problem, Remedy: remedy}
}

func warning(subject, problem, remedy string) Finding {
	return Finding{Severity: Warning, Subject: subject, Problem: problem, Remedy: remedy}
}

func notice(subject, problem, remedy string) Finding {
	return Finding{Severity: Notice, Subject: subject, Problem: problem, Remedy: remedy}
}
