package openapi_test

import (
	"testing"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/httpapi/receiver"
	"github.com/provisioner/provisioner/pkg/httpapi/sender"
	"github.com/provisioner/provisioner/test/openapi"
)

func TestDocuments(t *testing.T) {
	for name, document := range map[string][]byte{"sender": sender.Document, "receiver": receiver.Document, "papyrus": papyrus.Document} {
		t.Run(name, func(t *testing.T) {
			for _, err := range openapi.Lint(document) {
				t.Error(err)
			}
		})
	}
}
