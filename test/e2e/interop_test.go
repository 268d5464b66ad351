package e2e_test

import (
	"net/http"
	"testing"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
	"github.com/provisioner/provisioner/test/workers"
)

// forms are the two forms of signing secrets.
func forms() map[string]program.Settings {
	return map[string]program.Settings{
		"a keyring":       program.Keyring("k2", "k1"),
		"a single secret": {"SHARED_SECRET": record.NewSecret("shared secret")},
	}
}

func bindings(s program.Settings) workers.Bindings {
	return workers.Bindings{
		SharedSecret: s["SHARED_SECRET"], SigningKeys: s["SIGNING_KEYS"], ActiveKeyID: s["ACTIVE_KEY_ID"],
		SupabaseURL: s["SUPABASE_URL"], SupabaseAnonKey: s["SUPABASE_ANON_KEY"],
	}
}

func TestTheirSenderWithOurReceiver(t *testing.T) {
	for name, form := range forms() {
		t.Run(name, func(t *testing.T) {
			in := install(t, form, direct, direct)
			b := bindings(in.receiver.Env)
			b.ReceiverWorkerURL = keepSignatures(t)(in.receiver.URL("receiver"))
			worksTogether(t, workers.StartSender(t, b), in.papyrus.URL("papyrus"))
		})
	}
}

func TestOurSenderWithTheirReceiver(t *testing.T) {
	for name, form := range forms() {
		t.Run(name, func(t *testing.T) {
			papyrus := start(t, "papyrus", nil)
			s := form.With(program.Settings{"SUPABASE_URL": papyrus.URL("papyrus"), "SUPABASE_ANON_KEY": record.NewSecret("anon key")})
			receiver := keepSignatures(t)(workers.StartReceiver(t, bindings(s)))
			sender := start(t, "sender", s.With(program.Settings{"RECEIVER_WORKER_URL": receiver}))
			worksTogether(t, sender.URL("sender"), papyrus.URL("papyrus"))
		})
	}
}

// worksTogether sends an event and gets a key by way of a sender, and asks papyrus whether the key is good.
func worksTogether(t *testing.T, sender, papyrus string) {
	t.Helper()
	reported := wire.Event(1)
	if a := mustPost(t, sender+"/send", reported); a.Status != http.StatusOK || a.Body != `{"ok":true,"received":`+reported+`}` {
		t.Errorf("event: %v", a)
	}
	reader := signUp(t, sender)
	token := keepToken(t, mustPost(t, sender+"/send", reader.KeyRequest("laptop")))
	if a := verifyKey(t, papyrus, token); a.Status != http.StatusOK {
		t.Errorf("verify the key: %v", a)
	}
	bad := reader
	bad.JWT = "e30.e30.bm90LWEtc2lnbmF0dXJl"
	if a := mustPost(t, sender+"/send", bad.KeyRequest("laptop")); !a.Is(http.StatusUnauthorized, "INVALID_AUTH") {
		t.Errorf("a key for a forged JWT: %v", a)
	}
}

func verifyKey(t *testing.T, papyrus, token string) wire.Answer {
	t.Helper()
	a, err := client.Call(http.MethodGet, papyrus+"/v1/keys/verify", "", "Authorization", "Bearer "+token)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
