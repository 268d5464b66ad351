package papyrus_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/httpapi/papyrus"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/secret"
)

const (
	appRedirect = "papyrus://auth/callback"
	startPath   = "/v1/auth/oauth/google/start"
	callback    = "/v1/auth/oauth/google/callback"

	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var (
	badState = refused("VALIDATION_ERROR", "state is unknown, expired, used before or of another browser")
	badQuery = refused("VALIDATION_ERROR", "The query is malformed, or has a parameter twice")
	badCode  = refused("UNAUTHORIZED", "Invalid code")
	badLink  = refused("VALIDATION_ERROR", "The code is unknown, used or expired")
)

// providerKey is made once: RSA is slow under the race detector.
var providerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// provider is an OpenID provider at which a test signs in. A code of it is the nonce of the sign-in, a colon, and the claims of who
// signed in.
type provider struct {
	*httptest.Server
}

// withProvider configures a provider of its own.
func withProvider(t testing.TB) func(*papyrus.Config) {
	t.Helper()
	p := &provider{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: providerKey().Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}}})
	})
	mux.HandleFunc("POST /token", p.serveToken)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return func(c *papyrus.Config) {
		redirects, err := oidc.NewRedirects([]string{appRedirect, "http://localhost:43821/auth/callback"})
		must(t, err)
		provider := oidc.NewProvider(oidc.Config{
			Issuer: p.URL, ClientID: "provisioner", ClientSecret: secret.New("secret"), CallbackURL: publicURL + callback,
			Transport: http.DefaultTransport, Now: func() time.Time { return noon },
		})
		c.Flow = oidc.NewFlow(provider, redirects, c.Audit.(oidc.Store), func() time.Time { return noon })
	}
}

func (p *provider) serveToken(w http.ResponseWriter, r *http.Request) {
	nonce, person, ok := strings.Cut(r.FormValue("code"), ":")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]any{"error": "invalid_grant"})
		return
	}
	claims := jwt.MapClaims{"iss": p.URL, "aud": "provisioner", "nonce": nonce, "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix()}
	if err := json.Unmarshal([]byte(person), &claims); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(providerKey())
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 3600, "id_token": signed})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// Who may sign in at the provider.
const (
	zoe        = `{"sub":"zoe","email":"zoe@example.com","email_verified":true,"name":"Zoë"}`
	namesake   = `{"sub":"namesake","email":"reader@example.com","email_verified":true,"name":"Another"}`
	unverified = `{"sub":"unverified","email":"unverified@example.com","email_verified":false,"name":"Unverified"}`
)

// visit is a browser that was sent to the provider.
type visit struct {
	state, nonce string
	cookie       *http.Cookie
}

// mustStart begins a sign-in with query, and returns what the browser then has.
func (r rig) mustStart(t *testing.T, query string) visit {
	t.Helper()
	w := r.do("GET", startPath+"?"+query)
	if w.Code != http.StatusFound {
		t.Fatalf("start: %d %s", w.Code, w.Body)
	}
	v := newVisit(t, w.Header().Get("Location"))
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	v.cookie = cookies[0]
	return v
}

func newVisit(t *testing.T, authorizationURL string) visit {
	t.Helper()
	u, err := url.Parse(authorizationURL)
	must(t, err)
	return visit{state: u.Query().Get("state"), nonce: u.Query().Get("nonce")}
}

// back has the provider send the browser back with person signed in.
func (r rig) back(v visit, person string) *httptest.ResponseRecorder {
	return r.backWith(v, url.Values{"state": {v.state}, "code": {v.nonce + ":" + person}}.Encode())
}

func (r rig) backWith(v visit, query string) *httptest.ResponseRecorder {
	if v.cookie == nil {
		return r.do("GET", callback+"?"+query)
	}
	return r.do("GET", callback+"?"+query, "Cookie", "theme=dark; "+v.cookie.Name+"="+v.cookie.Value)
}

// mustCode returns the code that the app gets.
func mustCode(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	checkRedirect(t, w)
	u, err := url.Parse(w.Header().Get("Location"))
	must(t, err)
	if !strings.HasPrefix(u.String(), appRedirect+"?code=") || len(u.Query()) != 1 {
		t.Fatalf("redirected to %s", u)
	}
	return u.Query().Get("code")
}

// checkRedirect wants a redirect that leaks nothing.
func checkRedirect(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	check(t, w, 302, ``)
	checkNoStore(t, w)
	if got := w.Header().Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got)
	}
}

func checkFailure(t *testing.T, w *httptest.ResponseRecorder, code string) {
	t.Helper()
	checkRedirect(t, w)
	if got := w.Header().Get("Location"); got != appRedirect+"?error="+code {
		t.Errorf("redirected to %s", got)
	}
}

func exchange(code, verifier string) string {
	body := map[string]any{"code": code, "client_type": "web", "device_label": "flutter-web"}
	if verifier != "" {
		body["code_verifier"] = verifier
	}
	return object(body)
}

func TestSignInAtTheProvider(t *testing.T) {
	r := newRig(t, withProvider(t))
	for _, tt := range []struct{ name, query, verifier string }{
		{"without a challenge", "redirect_uri=" + appRedirect, ""},
		{"with a challenge", "redirect_uri=" + appRedirect + "&code_challenge=" + challenge, verifier},
		{"with a challenge and its method", "redirect_uri=" + appRedirect + "&code_challenge_method=S256&code_challenge=" + challenge, verifier},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := r.mustStart(t, tt.query)
			code := mustCode(t, r.back(v, zoe))
			w := r.post("/auth/exchange-code", exchange(code, tt.verifier), "")
			g := mustGrant(t, w)
			user := `{"user_id":"` + g.User.ID + `","email":"zoe@example.com","display_name":"Zoë","avatar_url":null,"email_verified":true,` +
				`"created_at":"2026-03-20T12:00:00Z","last_login_at":"2026-03-20T12:00:00Z"}`
			check(t, w, 200, wantTokens(g, user))
			checkNoStore(t, w)
			check(t, r.post("/auth/exchange-code", exchange(code, tt.verifier), ""), 401, badCode) // once
			check(t, r.post("/auth/login", credentials("zoe@example.com", right), ""), 401, badCredentials)
		})
	}
}

func TestStateCookie(t *testing.T) {
	r := newRig(t, withProvider(t))
	const query = "redirect_uri=" + appRedirect
	loopback := func(c *papyrus.Config) { c.PublicBaseURL = &url.URL{Scheme: "http", Host: "localhost:8080"} }
	for _, tt := range []struct {
		name, prefix, attributes string
		rig                      rig
	}{
		{"over https", "__Host-papyrus_oauth_", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax", r},
		{"on loopback", "papyrus_oauth_", "; Path=/; Max-Age=600; HttpOnly; SameSite=Lax", r.with(loopback)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.rig.do("GET", startPath+"?"+query)
			checkRedirect(t, w)
			v := newVisit(t, w.Header().Get("Location"))
			v.cookie = w.Result().Cookies()[0]
			want := tt.prefix + v.state[:16] + "=" + v.cookie.Value + tt.attributes
			if got := w.Header().Get("Set-Cookie"); got != want || len(v.cookie.Value) != 43 {
				t.Errorf("Set-Cookie %s\nwant %s", got, want)
			}

			w = tt.rig.back(v, zoe)
			mustCode(t, w)
			want = tt.prefix + v.state[:16] + "=" + strings.Replace(tt.attributes, "Max-Age=600", "Max-Age=0", 1)
			if got := w.Header().Get("Set-Cookie"); got != want {
				t.Errorf("Set-Cookie %s\nwant %s", got, want)
			}
		})
	}
}

func TestStartRefusals(t *testing.T) {
	notAllowed := refused("VALIDATION_ERROR", "redirect_uri is not allowed")
	badChallenge := refused("VALIDATION_ERROR", "code_challenge must be 43 characters of base64url, its method S256")
	r := newRig(t, withProvider(t))
	g := r.mustRegister(t, email)
	for _, tt := range []struct{ name, query, want string }{
		{"no redirect", "", notAllowed},
		{"an empty one", "redirect_uri=", notAllowed},
		{"a foreign one", "redirect_uri=https://evil.example.com/auth/callback", notAllowed},
		{"a user before the host", "redirect_uri=http://localhost:43821@evil.example.com/auth/callback", notAllowed},
		{"http://good@evil/", "redirect_uri=" + url.QueryEscape("http://good@evil/"), notAllowed},
		{"another path", "redirect_uri=" + appRedirect + "/x", notAllowed},
		{"another scheme", "redirect_uri=javascript://auth/callback", notAllowed},
		{"a fragment", "redirect_uri=" + url.QueryEscape(appRedirect+"#x"), notAllowed},
		{"a loopback port without a challenge", "redirect_uri=http://127.0.0.1:5000/auth/callback", notAllowed},
		{"a redirect twice", "redirect_uri=" + appRedirect + "&redirect_uri=https://evil.example.com", badQuery},
		{"a redirect twice, the same", "redirect_uri=" + appRedirect + "&redirect_uri=" + appRedirect, badQuery},
		{"another parameter twice", "redirect_uri=" + appRedirect + "&x=1&x=2", badQuery},
		{"a bad escape", "redirect_uri=%zz", badQuery},
		{"a semicolon", "redirect_uri=" + appRedirect + ";x=1", badQuery},
		{"a plain challenge", "redirect_uri=" + appRedirect + "&code_challenge=" + challenge + "&code_challenge_method=plain", badChallenge},
		{"a short challenge", "redirect_uri=" + appRedirect + "&code_challenge=short", badChallenge},
		{"a method without a challenge", "redirect_uri=" + appRedirect + "&code_challenge_method=S256", badChallenge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.do("GET", startPath+"?"+tt.query)
			check(t, w, 400, tt.want)
			if w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != "" {
				t.Errorf("headers %v", w.Header())
			}
			if query, err := url.ParseQuery(tt.query); err == nil && tt.want != badQuery && query.Get("redirect_uri") != "" {
				body := map[string]any{}
				for name := range query {
					body[name] = query.Get(name)
				}
				check(t, r.post("/auth/link/google/start", object(body), g.Access), 400, tt.want)
			}
		})
	}
	check(t, r.post("/auth/link/google/start", `{}`, g.Access), 422, invalid("redirect_uri", required))
	check(t, r.post("/auth/link/google/start", `{"redirect_uri":1,"code_challenge":1,"code_challenge_method":{}}`, g.Access), 422,
		invalid("redirect_uri", notString, "code_challenge", notString, "code_challenge_method", notString))
}

func TestNoProvider(t *testing.T) {
	want := refused("VALIDATION_ERROR", "Sign-in with Google is not configured")
	r := newRig(t)
	g := r.mustRegister(t, email)
	check(t, r.do("GET", startPath+"?redirect_uri="+appRedirect), 400, want)
	check(t, r.do("GET", callback+"?state="+strings.Repeat("a", 43)+"&code=a"), 400, want)
	check(t, r.post("/auth/link/google/start", `{"redirect_uri":"papyrus://auth/callback"}`, g.Access), 400, want)
	check(t, r.post("/auth/exchange-code", `{"code":"unknown"}`, ""), 401, badCode)
	check(t, r.post("/auth/link/google/complete", `{"code":"unknown"}`, g.Access), 400, badLink)
}

// TestCallbackAttacks names what others tried, and where no app may be told of it.
func TestCallbackAttacks(t *testing.T) {
	r := newRig(t, withProvider(t))
	const query = "redirect_uri=" + appRedirect
	other := r.mustStart(t, query)
	good := func(v visit) string { return url.Values{"state": {v.state}, "code": {v.nonce + ":" + zoe}}.Encode() }
	for _, tt := range []struct {
		name  string
		visit func(visit) visit
		query func(visit) string
		want  string
	}{
		{"a state of another browser", func(v visit) visit { v.cookie = nil; return v }, good, badState},
		{"the cookie of another sign-in", func(v visit) visit { v.cookie = other.cookie; return v }, good, badState},
		{"the cookie's name with the secret of another", func(v visit) visit {
			v.cookie = &http.Cookie{Name: v.cookie.Name, Value: other.cookie.Value}
			return v
		}, good, badState},
		{"an empty cookie", func(v visit) visit { v.cookie = &http.Cookie{Name: v.cookie.Name}; return v }, good, badState},
		{"no state", unchanged, func(v visit) string { return "code=" + v.nonce }, badState},
		{"a short state", unchanged, func(v visit) string { return "code=a&state=" + v.state[:10] }, badState},
		{"a state that could not be a cookie's name", unchanged, func(visit) string { return "code=a&state=" + strings.Repeat("%3B", 43) }, badState},
		{"a state twice", unchanged, func(v visit) string { return good(v) + "&state=" + other.state }, badQuery},
		{"a code twice", unchanged, func(v visit) string { return good(v) + "&code=a" }, badQuery},
		{"an error of a stranger", func(v visit) visit { v.cookie = nil; return v }, func(v visit) string { return "error=x&state=" + v.state }, badState},
		{"an unknown state", unchanged, func(visit) string { return "code=a&state=" + strings.Repeat("a", 43) }, badState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := r.mustStart(t, query)
			w := r.backWith(tt.visit(v), tt.query(v))
			check(t, w, 400, tt.want)
			checkNoStore(t, w)
			if w.Header().Get("Location") != "" {
				t.Errorf("redirected to %s", w.Header().Get("Location"))
			}
		})
	}

	t.Run("a replayed state", func(t *testing.T) {
		v := r.mustStart(t, query)
		mustCode(t, r.back(v, zoe))
		check(t, r.back(v, zoe), 400, badState)
	})
	t.Run("a state that somebody else brought first", func(t *testing.T) {
		v := r.mustStart(t, query)
		check(t, r.back(visit{state: v.state, nonce: v.nonce}, zoe), 400, badState)
		check(t, r.back(v, zoe), 400, badState)
	})
	t.Run("two sign-ins in one browser", func(t *testing.T) {
		first, second := r.mustStart(t, query), r.mustStart(t, query)
		cookies := first.cookie.Name + "=" + first.cookie.Value + "; " + second.cookie.Name + "=" + second.cookie.Value
		mustCode(t, r.do("GET", callback+"?"+good(second), "Cookie", cookies))
		mustCode(t, r.do("GET", callback+"?"+good(first), "Cookie", cookies))
	})
}

func unchanged(v visit) visit { return v }

func TestCallbackFailures(t *testing.T) {
	r := newRig(t, withProvider(t))
	r.mustRegister(t, email)
	start := func() visit { return r.mustStart(t, "redirect_uri="+appRedirect) }
	g := mustGrant(t, r.post("/auth/exchange-code", exchange(mustCode(t, r.back(start(), zoe)), ""), ""))

	withState := func(query string) *httptest.ResponseRecorder {
		v := start()
		return r.backWith(v, "state="+v.state+query)
	}
	checkFailure(t, withState("&error=access_denied&error_description=no"), "access_denied")
	checkFailure(t, withState("&error=access_denied&code=a"), "access_denied")
	checkFailure(t, withState("&error="+url.QueryEscape("a&code=b\r\nX: y")), "a%26code%3DbX%3A+y")
	checkFailure(t, withState(""), "missing_code")
	checkFailure(t, withState("&code=unknown"), "exchange_failed")
	checkFailure(t, withState("&code="+url.QueryEscape("another nonce:"+zoe)), "exchange_failed")
	checkFailure(t, r.back(start(), unverified), "exchange_failed")
	checkFailure(t, r.back(start(), namesake), "account_exists") // never by the e-mail alone
	r.mustDisable(t, g.User.ID)
	checkFailure(t, r.back(start(), zoe), "account_disabled")
}

func TestExchangeRefusals(t *testing.T) {
	r := newRig(t, withProvider(t))
	g := r.mustRegister(t, email)
	plain := func() string { return mustCode(t, r.back(r.mustStart(t, "redirect_uri="+appRedirect), zoe)) }
	bound := func() string {
		return mustCode(t, r.back(r.mustStart(t, "redirect_uri="+appRedirect+"&code_challenge="+challenge), zoe))
	}
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"no code", `{}`, 422, invalid("code", required)},
		{"a code that is null", `{"code":null}`, 422, invalid("code", notString)},
		{"a verifier that is a number, and a strange client", `{"code":"a","code_verifier":1,"client_type":"fridge"}`, 422, invalid("code_verifier", notString, "client_type", "must be mobile, desktop, web or unknown")},
		{"an unknown code", exchange("unknown", ""), 401, badCode},
		{"a code without its verifier", exchange(bound(), ""), 401, badCode},
		{"a code with another verifier", exchange(bound(), strings.Repeat("a", 43)), 401, badCode},
		{"a code with the challenge for a verifier", exchange(bound(), challenge), 401, badCode},
		{"a verifier that was not asked for", exchange(plain(), verifier), 401, badCode},
		{"a code to link with", exchange(r.mustLinkCode(t, g, zoe), ""), 401, badCode},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, r.post("/auth/exchange-code", tt.body, ""), tt.status, tt.want) })
	}
	late := plain()
	r.clock.Time = noon.Add(time.Minute)
	check(t, r.post("/auth/exchange-code", exchange(late, ""), ""), 401, badCode)
}

// mustLinkCode has the user of g sign in at the provider as person, to link that identity.
func (r rig) mustLinkCode(t *testing.T, g grant, person string) string {
	t.Helper()
	w := r.post("/auth/link/google/start", `{"redirect_uri":"`+appRedirect+`"}`, g.Access)
	var started struct {
		URL string `json:"authorization_url"`
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &started))
	text, err := json.Marshal(started.URL)
	must(t, err)
	check(t, w, 200, `{"authorization_url":`+string(text)+`}`)
	checkNoStore(t, w)
	if w.Header().Get("Set-Cookie") != "" {
		t.Errorf("Set-Cookie %q", w.Header().Get("Set-Cookie"))
	}
	return mustCode(t, r.back(newVisit(t, started.URL), person)) // in whichever browser
}

func TestLink(t *testing.T) {
	const endpoint = "/auth/link/google/complete"
	r := newRig(t, withProvider(t))
	g, other := r.mustRegister(t, email), r.mustRegister(t, "other@example.com")
	check(t, r.post(endpoint, `{}`, g.Access), 422, invalid("code", required))
	check(t, r.post(endpoint, `{"code":"unknown"}`, g.Access), 400, badLink)

	code := r.mustLinkCode(t, g, zoe)
	check(t, r.post(endpoint, `{"code":"`+code+`"}`, other.Access), 403, refused("FORBIDDEN", "The code is another user's"))
	check(t, r.post(endpoint, `{"code":"`+code+`"}`, g.Access), 400, badLink) // spent

	code = r.mustLinkCode(t, g, zoe)
	check(t, r.post(endpoint, `{"code":"`+code+`","code_verifier":"`+verifier+`"}`, g.Access), 400, badLink)
	code = mustCode(t, r.back(r.mustStart(t, "redirect_uri="+appRedirect), zoe))
	check(t, r.post(endpoint, `{"code":"`+code+`"}`, g.Access), 400, badLink) // one to sign in with

	someone := `{"sub":"someone","email":"reader@example.com","email_verified":true}`
	for range 2 { // to link again changes nothing
		code = r.mustLinkCode(t, g, someone)
		w := r.post(endpoint, `{"code":"`+code+`"}`, g.Access)
		check(t, w, 200, wantUser(g.User.ID, email))
		checkNoStore(t, w)
	}
	code = r.mustLinkCode(t, other, someone)
	check(t, r.post(endpoint, `{"code":"`+code+`"}`, other.Access), 409, refused("CONFLICT", "The identity is linked to another account"))

	signedIn := mustGrant(t, r.post("/auth/exchange-code", exchange(mustCode(t, r.back(r.mustStart(t, "redirect_uri="+appRedirect), someone)), ""), ""))
	if signedIn.User.ID != g.User.ID {
		t.Errorf("signed in as %s, want %s", signedIn.User.ID, g.User.ID)
	}
}
