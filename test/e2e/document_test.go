package e2e_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/test/openapi"
	"github.com/provisioner/provisioner/test/program"
)

var documents = map[string][]byte{"sender": sender.Document, "receiver": receiver.Document, "papyrus": papyrus.Document}

// validators hold the exchanges with services that run to their documents, by the services' addresses.
var validators sync.Map

// newProcess prepares a service whose exchanges are checked until t ends, see [program.New].
func newProcess(t testing.TB, service string, s program.Settings) *program.Process {
	t.Helper()
	p := program.New(t, service, s)
	for service, document := range documents {
		if p.Service != service && p.Service != "all" {
			continue
		}
		addr := p.Addr(service)
		validators.Store(addr, openapi.NewValidator(t, document))
		t.Cleanup(func() { validators.Delete(addr) })
	}
	return p
}

// start runs such a service until t ends, and returns when it is ready.
func start(t testing.TB, service string, s program.Settings) *program.Process {
	t.Helper()
	p := newProcess(t, service, s)
	p.Start()
	return p
}

// validated is a transport that checks exchanges with services that have a document.
type validated struct{ http.RoundTripper }

func (v validated) RoundTrip(r *http.Request) (*http.Response, error) {
	if validator, ok := validators.Load(r.URL.Host); ok {
		return validator.(*openapi.Validator).Transport(v.RoundTripper).RoundTrip(r)
	}
	return v.RoundTripper.RoundTrip(r)
}
