package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// exchange is a request with its answer.
type exchange struct {
	request *http.Request // its body is read
	sent    []byte        // the request's body
	status  int
	header  http.Header
	body    []byte
}

// clientGone is the status of an answer that nobody reads: no document has it.
const clientGone = 499

// check returns what the document does not say of an exchange. The answer must be documented. The request must be only where it
// succeeded: tests make bad ones on purpose.
func (d *document) check(ctx context.Context, x exchange) error {
	route, parameters := d.find(x.request.Method, x.request.URL.EscapedPath())
	switch {
	case x.status == clientGone:
		return nil
	case route != nil:
		return d.checkDocumented(ctx, x, route, parameters)
	case x.request.Method == http.MethodOptions:
		return x.checkPreflight()
	}
	return d.checkUnknown(x)
}

func (x exchange) checkPreflight() error {
	if x.status != http.StatusNoContent || len(x.body) != 0 {
		return fmt.Errorf("a preflight was answered with %d and %d bytes, want an empty 204", x.status, len(x.body))
	}
	return nil
}

// checkUnknown wants a refusal, in the shape of its path's errors.
func (d *document) checkUnknown(x exchange) error {
	foreign := x.status == http.StatusForbidden && x.request.Header.Get("Origin") != ""
	if x.status != http.StatusNotFound && x.status != http.StatusMethodNotAllowed && !foreign {
		return fmt.Errorf("the document does not have it, but it was answered with %d", x.status)
	}
	if x.request.Method == http.MethodHead {
		return x.checkEmpty()
	}
	schema := d.errorSchema(x.request.URL.Path)
	if schema == nil {
		return fmt.Errorf("%s has no schema for it", errorShapes)
	}
	if !isJSON(x.header) {
		return fmt.Errorf("the error is of the type %q", x.header.Get("Content-Type"))
	}
	var value any
	if err := json.Unmarshal(x.body, &value); err != nil {
		return fmt.Errorf("the error is no JSON: %w", err)
	}
	return schema.VisitJSON(value, openapi3.SetSchemaErrorMessageCustomizer(reason))
}

func (d *document) checkDocumented(ctx context.Context, x exchange, route *routers.Route, parameters map[string]string) error {
	ref := route.Operation.Responses.Status(x.status)
	if ref == nil {
		return fmt.Errorf("%s does not document the status %d: %s", route.Operation.OperationID, x.status, x.body)
	}
	options := &openapi3filter.Options{AuthenticationFunc: hasCredentials, SkipSettingDefaults: true}
	options.WithCustomSchemaErrorFunc(reason)
	input := &openapi3filter.RequestValidationInput{
		Request: x.documentedRequest(route), PathParams: parameters, Route: route, Options: options,
	}
	var wrong error
	if x.status < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(ctx, input); err != nil {
			wrong = fmt.Errorf("it succeeded, but is not documented: %w", err)
		}
	}
	return errors.Join(wrong, x.checkAnswer(ctx, ref.Value, input))
}

// documentedRequest is the request again, with its body, and of the one content type that there is: whether a service
// minds the type shows in its answer.
func (x exchange) documentedRequest(route *routers.Route) *http.Request {
	r := new(http.Request)
	*r = *x.request
	r.Header = x.request.Header.Clone()
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(x.sent)), int64(len(x.sent))
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // what is documented for both
	}
	if body := route.Operation.RequestBody; body != nil {
		for contentType := range body.Value.Content {
			r.Header.Set("Content-Type", contentType)
		}
	}
	return r
}

func (x exchange) checkAnswer(ctx context.Context, documented *openapi3.Response, input *openapi3filter.RequestValidationInput) error {
	hasBody := len(documented.Content) > 0 && x.request.Method != http.MethodHead
	if !hasBody && len(x.body) > 0 {
		return fmt.Errorf("%d has a body of %d bytes, but none is documented", x.status, len(x.body))
	}
	if hasBody && documented.Content.Get(x.header.Get("Content-Type")) == nil {
		return fmt.Errorf("%d is of the type %q, which is not documented", x.status, x.header.Get("Content-Type"))
	}
	options := &openapi3filter.Options{ExcludeResponseBody: !hasBody || !isJSON(x.header)}
	options.WithCustomSchemaErrorFunc(reason)
	return openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: x.status, Header: x.header, Body: io.NopCloser(bytes.NewReader(x.body)), Options: options,
	})
}

// reason tells what does not fit without the whole schema and the whole value, which may be secret or long.
func reason(e *openapi3.SchemaError) string {
	text := fmt.Sprintf("/%s: %s", strings.Join(e.JSONPointer(), "/"), e.Reason)
	if e.Origin != nil {
		text += ": " + e.Origin.Error()
	}
	return text
}

func (x exchange) checkEmpty() error {
	if len(x.body) > 0 {
		return fmt.Errorf("a body of %d bytes for HEAD", len(x.body))
	}
	return nil
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// hasCredentials looks for what a security scheme wants. Whether they are good is the service's to say.
func hasCredentials(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	h := in.RequestValidationInput.Request.Header
	switch s := in.SecurityScheme; s.Type {
	case "apiKey":
		if h.Get(s.Name) == "" {
			return fmt.Errorf("there is no header %s", s.Name)
		}
	case "http":
		scheme, _, _ := strings.Cut(h.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, s.Scheme) {
			return fmt.Errorf("there is no %s token", s.Scheme)
		}
	default:
		return fmt.Errorf("credentials of the type %s are not known here", s.Type)
	}
	return nil
}
