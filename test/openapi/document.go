// Package openapi holds services to their OpenAPI documents: a document is well made, its paths are the routes that there are, and
// every exchange of a test is as it says.
//
// Two extensions say what OpenAPI has no word for. "x-error-shapes" of a document gives the schema of errors on paths that it
// does not have, by their beginnings. "x-any-method" of a path's one operation says that it is the same for every method; a
// parameter with "x-slashes" takes the rest of the path.
package openapi

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

const (
	errorShapes = "x-error-shapes"
	anyMethod   = "x-any-method"
	slashes     = "x-slashes"
)

// document is a service's document, ready to look up operations and the shape of errors.
type document struct {
	*openapi3.T
	paths  []path
	shapes []shape
}

// path is a path of the document with the expression that finds it. Paths without parameters come first, as in routers.
type path struct {
	template   string
	item       *openapi3.PathItem
	expression *regexp.Regexp
	parameters []string
}

// shape is the schema of errors on unknown paths that begin with prefix. The longest prefix comes first.
type shape struct {
	prefix string
	schema *openapi3.Schema
}

func load(text []byte) (*document, error) {
	t, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	d := &document{T: t}
	for template, item := range t.Paths.Map() {
		d.paths = append(d.paths, newPath(template, item))
	}
	slices.SortFunc(d.paths, func(a, b path) int { return len(a.parameters) - len(b.parameters) })

	shapes, _ := t.Extensions[errorShapes].(map[string]any)
	for prefix, name := range shapes {
		ref := t.Components.Schemas[fmt.Sprint(name)]
		if ref == nil {
			return nil, fmt.Errorf("%s: there is no schema %v", errorShapes, name)
		}
		d.shapes = append(d.shapes, shape{prefix, ref.Value})
	}
	slices.SortFunc(d.shapes, func(a, b shape) int { return len(b.prefix) - len(a.prefix) })
	return d, nil
}

var parameter = regexp.MustCompile(`\{([^}]+)\}`)

func newPath(template string, item *openapi3.PathItem) path {
	p := path{template: template, item: item}
	expression := regexp.QuoteMeta(template)
	for _, found := range parameter.FindAllStringSubmatch(template, -1) {
		value := `([^/]+)`
		if takesSlashes(item, found[1]) {
			value = `(.*)`
		}
		expression = strings.Replace(expression, regexp.QuoteMeta(found[0]), value, 1)
		p.parameters = append(p.parameters, found[1])
	}
	p.expression = regexp.MustCompile("^" + expression + "$")
	return p
}

func takesSlashes(item *openapi3.PathItem, name string) bool {
	return slices.ContainsFunc(item.Parameters, func(ref *openapi3.ParameterRef) bool {
		return ref.Value.Name == name && ref.Value.Extensions[slashes] == true
	})
}

// find returns the operation for a request, and the values of the path's parameters, as they are escaped; nil where there is
// none.
func (d *document) find(method, escapedPath string) (*routers.Route, map[string]string) {
	for _, p := range d.paths {
		match := p.expression.FindStringSubmatch(escapedPath)
		if match == nil {
			continue
		}
		op := p.operation(method)
		if op == nil {
			return nil, nil
		}
		values := make(map[string]string, len(p.parameters))
		for i, name := range p.parameters {
			values[name] = cmp.Or(match[i+1], "/") // an empty rest is a value too; the filter misses it
		}
		return &routers.Route{Spec: d.T, Path: p.template, PathItem: p.item, Method: method, Operation: op}, values
	}
	return nil, nil
}

// operation returns what the path does for a method: HEAD does what GET does.
func (p path) operation(method string) *openapi3.Operation {
	operations := p.item.Operations()
	if p.item.Extensions[anyMethod] == true {
		return operations[http.MethodGet]
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return operations[method]
}

// errorSchema returns the schema of errors on a path that the document does not have, nil for none.
func (d *document) errorSchema(path string) *openapi3.Schema {
	for _, s := range d.shapes {
		if strings.HasPrefix(path, s.prefix) {
			return s.schema
		}
	}
	return nil
}
