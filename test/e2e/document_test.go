package e2e_test

import (
	"net/http"
	"sync"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/test/openapi"
)

var documents = map[string][]byte{"sender": sender.Document, "receiver": receiver.Document, "papyrus": papyrus.Document}

// validators hold the exchanges with services that run to their documents, by the services' addresses.
var validators sync.Map

// validate has the exchanges with p checked until its test ends.
func (p *process) validate() {
	for service, document := range documents {
		if p.service != service && p.service != "all" {
			continue
		}
		addr := p.addr(service)
		validators.Store(addr, openapi.NewValidator(p.t, document))
		p.t.Cleanup(func() { validators.Delete(addr) })
	}
}

// validated is a transport that checks exchanges with services that have a document.
type validated struct{ http.RoundTripper }

func (v validated) RoundTrip(r *http.Request) (*http.Response, error) {
	if validator, ok := validators.Load(r.URL.Host); ok {
		return validator.(*openapi.Validator).Transport(v.RoundTripper).RoundTrip(r)
	}
	return v.RoundTripper.RoundTrip(r)
}
