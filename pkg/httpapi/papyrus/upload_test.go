package papyrus_test

import (
	"testing"
)

const bookID = "83f2b1c0-6c3e-4d0a-9a39-3f0f6f1f7a10"

func TestUpload(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	put := `{"batch":[{"op_id":11,"op":"PUT","type":"books","id":"` + bookID + `","tx_id":22,"data":{"title":"Book"},"metadata":null,"old":null}]}`
	check(t, r.post("/sync/powersync-upload", put, g.Access), 200, `{"applied_count":1}`)
	check(t, r.call("GET", "/users/me/export", ``, g.Access), 200, ``)
	check(t, r.call("GET", "/sync/dead-letters", ``, g.Access), 200, ``)
}
