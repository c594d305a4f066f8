package e2e_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vendor"
)

// witness has what nobody else may see, and where it must not be.
type witness struct {
	mu      sync.Mutex // guards what follows
	secrets []string   // keys and credentials
	heard   []string   // files of what adapters were told
}

// knows adds secrets, and files in which they must not be.
func (w *witness) knows(secrets []string, heard ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets, w.heard = append(w.secrets, secrets...), append(w.heard, heard...)
}

// Nothing that a role or an adapter has written down has a key or a credential in it.
func (w *witness) nothingIsLogged(c *cluster) {
	t := c.t
	files := w.heard
	for _, p := range append(c.roles(), c.nats) {
		files = append(files, p.Log)
	}
	secrets := append([]string{openaiCredential, anthropicCredential, cohereCredential, "tgk_"}, w.secrets...)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || len(text) == 0 {
			t.Errorf("%s has nothing: %v", name, err)
		}
		for _, s := range secrets {
			if at := strings.Index(string(text), s); at >= 0 {
				t.Errorf("%s has %q: %s", name, s, text[max(0, at-200):min(len(text), at+200)])
			}
		}
	}
	resp, err := c.rpc.usage.ListRequests(t.Context(), &controlv1.ListRequestsRequest{PageSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if strings.Contains(resp.String(), s) {
			t.Errorf("the records have %q", s)
		}
	}
}

// Wherever a caller has its key, no vendor gets it, nor another vendor's credential; what a vendor says of the gateway's
// credential, and its headers, stay inside; and explaining shows none of them.
func credentialsStayWhereTheyBelong(c *cluster, w *witness) {
	t := c.t
	const name, most = "own", 50
	vendors := map[string]*modelVendor{"openai": openai(t, rates{2_500, 10_000}, inFull), "claude": anthropic(t, rates{2_500, 10_000}, inFull)}
	c.model(name, modelHold, vendors, []string{"openai"})
	c.deploy("create", name+"-2", "claude", vendors["claude"], modelHold)
	models := map[string]string{"openai": name, "claude": name + "-2"}
	key := c.key(name)
	w.knows([]string{key})
	c.awaitLive()
	secrets := []string{key, openaiCredential, anthropicCredential, base64.StdEncoding.EncodeToString([]byte("user:" + key))}
	ask := func(lang, by string, headers ...string) (*http.Response, string) {
		t.Helper()
		l := languages[lang]
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.edgeAddrs[0]+"/"+name+l.path, strings.NewReader(l.ask(models[by], most, true)))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := plain.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		for _, s := range secrets {
			all := string(text)
			for field, values := range resp.Header {
				all += "\n" + field + ": " + strings.Join(values, ", ")
			}
			if strings.Contains(all, s) {
				t.Errorf("%s: the caller sees %q:\n%s", lang, s, all)
			}
		}
		return resp, string(text)
	}
	places := map[string][]string{
		"x-api-key": {"X-Api-Key", key}, "bearer": {"Authorization", "Bearer " + key}, "both": {"X-Api-Key", key, "Authorization", "Bearer " + key},
		"basic":     {"Authorization", "Basic " + secrets[3]},
		"elsewhere": {"X-Api-Key", key, "X-Mine", key, "Anthropic-Beta", key, "User-Agent", "mine/" + key, "Cookie", "a=" + key, "Openai-Organization", key},
	}
	for where, headers := range places {
		for _, lang := range spoken {
			for _, by := range []string{"openai", "claude"} {
				resp, text := ask(lang, by, headers...)
				if err := languages[lang].answered(resp, text, true); err != nil || resp.Header.Get("X-Tollgate-Model") != models[by]+"/"+by {
					t.Errorf("%s, key in %s, by %s: %v", lang, where, resp.Header.Get("X-Tollgate-Model"), err)
				}
			}
		}
	}
	for by, v := range vendors {
		field, own, others := "Authorization", "Bearer "+openaiCredential, anthropicCredential
		if by == "claude" {
			field, own, others = "X-Api-Key", anthropicCredential, openaiCredential
		}
		for _, got := range v.Requests() {
			text := got.URI + "\n" + string(got.Body)
			for _, f := range got.Header {
				text += "\n" + f.Name + ": " + f.Value
			}
			if got.Get(field) != own || strings.Contains(text, key) || strings.Contains(text, secrets[3]) || strings.Contains(text, others) {
				t.Errorf("%s received\n%s", by, text)
			}
		}
	}

	// A vendor that refuses the credential repeats it.
	for _, lang := range spoken {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			vendors["openai"].Next(vendor.Text(status, `{"error":{"message":"Incorrect API key provided: `+openaiCredential+`","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
				"Content-Type", "application/json", "X-Used", openaiCredential, "Www-Authenticate", "Bearer "+openaiCredential))
			resp, text := ask(lang, "openai", "X-Api-Key", key)
			if err := schemas.Check(languages[lang].refusal, []byte(text)); err != nil || resp.StatusCode != http.StatusBadGateway || resp.Header.Get("X-Tollgate-Error") != "upstream_refused" {
				t.Errorf("%s, %d: %s %v %s", lang, status, resp.Status, err, text)
			}
		}
	}
	if resp, text := ask("messages", "openai", "X-Api-Key", key+"x"); resp.StatusCode != http.StatusUnauthorized || gjson.Get(text, "error.type").Str != "authentication_error" {
		t.Errorf("another key: %s %s", resp.Status, text)
	}
	out := c.does("explain", "POST", "/"+name+"/v1/messages", "--edge", "edge-1", "--key", name, "--body", c.file("body", []byte(languages["messages"].ask(name, most, false))), "-o", "json") +
		c.does("model", "show", name, "-o", "json")
	for _, s := range secrets {
		if strings.Contains(out, s) {
			t.Errorf("commands show %q: %s", s, out)
		}
	}
}
