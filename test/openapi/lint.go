package openapi

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	strict "github.com/go-json-experiment/json"
)

// Lint returns what is wrong with a document: that it is none, its examples do not fit, an operation is not described, names
// of operations are not unique, answers have no schema or lack a header that their status wants, something is defined and not
// used, or a reference leads out of the document.
func Lint(text []byte) []error {
	var raw any
	if err := strict.Unmarshal(text, &raw); err != nil { // also for a member that comes twice
		return []error{fmt.Errorf("not JSON: %w", err)}
	}
	d, err := load(text)
	if err != nil {
		return []error{err}
	}
	l := &linter{operations: make(map[string]string)}
	if err := d.Validate(context.Background(), openapi3.ProhibitExtensionsWithRef()); err != nil {
		l.report("the document: %w", err)
	}
	if len(d.shapes) == 0 {
		l.report("the document has no " + errorShapes)
	}
	for _, p := range d.paths {
		for method, op := range p.item.Operations() {
			l.operation(method+" "+p.template, op, d)
		}
	}
	l.references(raw, d)
	slices.SortFunc(l.found, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return l.found
}

type linter struct {
	found      []error
	operations map[string]string // where each operationId is
}

func (l *linter) report(format string, args ...any) {
	l.found = append(l.found, fmt.Errorf(format, args...))
}

func (l *linter) operation(where string, op *openapi3.Operation, d *document) {
	other, taken := l.operations[op.OperationID]
	switch {
	case op.OperationID == "":
		l.report("%s has no operationId", where)
	case taken:
		l.report("%s and %s are both %s", min(where, other), max(where, other), op.OperationID)
	}
	l.operations[op.OperationID] = where
	if op.Summary == "" {
		l.report("%s has no summary", where)
	}
	if len(op.Tags) != 1 || d.Tags.Get(op.Tags[0]) == nil {
		l.report("%s has the tags %q, want one of the document's", where, op.Tags)
	}
	l.responses(where, op.Responses.Map())
}

func (l *linter) responses(where string, responses map[string]*openapi3.ResponseRef) {
	var succeeds, fails bool
	for status, ref := range responses {
		succeeds = succeeds || status[0] == '2' || status[0] == '3'
		fails = fails || status[0] == '4' || status[0] == '5'
		l.response(where+" "+status, status, ref.Value)
	}
	if !succeeds || !fails {
		l.report("%s lacks a success or errors: %q", where, slices.Sorted(maps.Keys(responses)))
	}
}

const noContent = "204"

// headers are those without which an answer of a status is not whole.
var headers = map[string]string{"302": "Location", "401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}

func (l *linter) response(where, status string, r *openapi3.Response) {
	if has, want := len(r.Content) > 0, status != noContent && status[0] != '3'; has != want {
		l.report("%s: has a body, %t; want %t", where, has, want)
	}
	for contentType, media := range r.Content {
		if media.Schema == nil {
			l.report("%s: %s has no schema", where, contentType)
		}
	}
	if name, wanted := headers[status]; wanted && r.Headers[name] == nil {
		l.report("%s has no %s", where, name)
	}
}

var component = regexp.MustCompile(`^#/components/(\w+)/([\w.-]+)$`)

// references looks for references that lead nowhere in the document, and for components that none leads to.
func (l *linter) references(raw any, d *document) {
	used := make(map[string]bool)
	walk(raw, func(ref string) {
		if !component.MatchString(ref) {
			l.report("$ref to %s", ref)
		}
		used[ref] = true
	})
	shapes, _ := d.Extensions[errorShapes].(map[string]any)
	for _, name := range shapes {
		used[fmt.Sprint("#/components/schemas/", name)] = true
	}
	for _, name := range securitySchemes(d) {
		used["#/components/securitySchemes/"+name] = true
	}
	root, _ := raw.(map[string]any)
	components, _ := root["components"].(map[string]any)
	for kind, members := range components {
		named, _ := members.(map[string]any)
		for name := range named {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				l.report("%s is not used", ref)
			}
		}
	}
}

// walk calls visit for each reference.
func walk(v any, visit func(ref string)) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			visit(ref)
		}
		for _, member := range v {
			walk(member, visit)
		}
	case []any:
		for _, element := range v {
			walk(element, visit)
		}
	}
}

func securitySchemes(d *document) []string {
	var names []string
	note := func(requirements openapi3.SecurityRequirements) {
		for _, r := range requirements {
			names = slices.AppendSeq(names, maps.Keys(r))
		}
	}
	note(d.Security)
	for _, p := range d.paths {
		for _, op := range p.item.Operations() {
			if op.Security != nil {
				note(*op.Security)
			}
		}
	}
	return names
}
