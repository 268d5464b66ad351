package papyrus

import _ "embed" // the document

// Document is papyrus's OpenAPI document, JSON, with the paths of API_PREFIX's default, /v1: openapi.WithPrefix gives it for
// another. It must not be changed.
//
//go:embed openapi.json
var Document []byte
