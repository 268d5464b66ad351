package openapi

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// variable is a part of a route that stands for any value, as routers write it: ":name", "{name}", or "*" for the rest.
var variable = regexp.MustCompile(`:[^/]+|\{[^}]+\}|\*`)

// methods are those that a path with x-any-method must answer.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// CompareRoutes returns how a document and the routes of its service differ. A route is a method and a path, "GET
// /users/:id". HEAD goes with GET, documented or not. Words that are no method, such as echo's for its 404, are not looked at.
func CompareRoutes(text []byte, routes []string) []error {
	d, err := load(text)
	if err != nil {
		return []error{err}
	}
	var differences []error
	there := make(map[string]bool)
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		if method != strings.ToUpper(method) {
			continue
		}
		there[method+" "+variable.ReplaceAllString(path, "*")] = true
		if found, _ := d.find(method, variable.ReplaceAllString(path, "x")); found == nil {
			differences = append(differences, fmt.Errorf("the document has no %s", route))
		}
	}
	for _, operation := range d.operations() {
		if !there[variable.ReplaceAllString(operation, "*")] {
			differences = append(differences, fmt.Errorf("the service has no %s", operation))
		}
	}
	return differences
}

// operations returns the methods and paths that a service with this document answers, in order.
func (d *document) operations() []string {
	var all []string
	for _, p := range d.paths {
		for _, method := range methods {
			if p.operation(method) != nil {
				all = append(all, method+" "+p.template)
			}
		}
	}
	slices.Sort(all)
	return all
}
