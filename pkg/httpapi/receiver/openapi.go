package receiver

import _ "embed" // the document

// Document is the receiver's OpenAPI document, JSON, as GET /openapi.json serves it. It must not be changed.
//
//go:embed openapi.json
var Document []byte
