package sender

import _ "embed" // the document

// Document is the sender's OpenAPI document, JSON, as GET /openapi.json serves it. It must not be changed.
//
//go:embed openapi.json
var Document []byte
