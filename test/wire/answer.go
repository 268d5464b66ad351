package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/provisioner/provisioner/test/record"
)

// Answer is a whole response.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Member returns a text of the JSON object that the body is, "" for none.
func (a Answer) Member(name string) string {
	var members map[string]any
	if json.Unmarshal([]byte(a.Body), &members) != nil {
		return ""
	}
	text, _ := members[name].(string)
	return text
}

// Is reports whether a has the status and, in the dialect of sender and receiver, the code.
func (a Answer) Is(status int, code string) bool {
	return a.Status == status && a.Member("code") == code
}

// String returns the status and the body.
func (a Answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// Read reads a response to its end. What a request is refused with is on the record, under what it was.
func Read(resp *http.Response, what string) (Answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		record.See(fmt.Sprintf("the %d of %s", resp.StatusCode, what), string(body))
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}, nil
}

// Code returns the code of an error in the dialects of sender and receiver and of papyrus, "" for none.
func (a Answer) Code() string {
	var nested struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(a.Body), &nested) == nil && nested.Error.Code != "" {
		return nested.Error.Code
	}
	return a.Member("code")
}
