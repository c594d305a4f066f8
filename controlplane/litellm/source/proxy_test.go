package source_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/litellm/source"
	"tollgate/internal/fault"
)

const masterKey = "sk-master-of-the-fake"

// proxy answers as a LiteLLM proxy with the rows of the dump does.
type proxy struct {
	t       *testing.T
	rows    map[string][]litellm.Row
	refuse  func(path string, page int) int // a status; 0 for an answer
	keys    int                             // further keys, so that there are several pages
	answers atomic.Int64
}

// typed is a row as JSON has it.
func typed(row litellm.Row) map[string]any {
	out := map[string]any{}
	for name, value := range row {
		text, _ := value.(string)
		switch {
		case name == "team_id" || name == "user_id" || name == "token":
			out[name] = text
		case text == "t" || text == "f":
			out[name] = text == "t"
		case strings.HasPrefix(text, "{") && json.Valid([]byte(text)) && text != "{}" || strings.HasPrefix(text, "["):
			out[name] = json.RawMessage(text)
		case strings.HasPrefix(text, "{"):
			list := litellm.Row{name: text}.List(name)
			if list == nil {
				list = []string{}
			}
			out[name] = list
		case len(text) > 0 && len(text) < 24 && strings.Trim(text, "0123456789.") == "":
			out[name] = json.Number(text)
		default:
			out[name] = strings.Replace(text, " 00:00:00", "T00:00:00Z", 1)
		}
	}
	return out
}

func (p *proxy) list(table string, page, size int) (rows []any, pages int) {
	budgets := map[string]litellm.Row{}
	for _, b := range p.rows["LiteLLM_BudgetTable"] {
		budgets[b.Text("budget_id")] = b
	}
	all := p.rows[table]
	if table == "LiteLLM_VerificationToken" {
		for i := range p.keys {
			all = append(slices.Clip(all), litellm.Row{"token": strings.Repeat("0", 60) + strconv.Itoa(1000+i), "key_alias": "more-" + strconv.Itoa(i)})
		}
	}
	pages = (len(all) + size - 1) / size
	for i, row := range all {
		if i/size+1 != page {
			continue
		}
		one := typed(row)
		if b := budgets[row.Text("budget_id")]; b != nil && table != "LiteLLM_BudgetTable" {
			one["litellm_budget_table"] = typed(b)
		}
		rows = append(rows, one)
	}
	if rows == nil {
		rows = []any{}
	}
	return rows, pages
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.answers.Add(1)
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	if r.Header.Get("Authorization") != "Bearer "+masterKey {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":{"message":"Authentication Error, Invalid proxy server token passed. Received API Key = sk-...", "type":"token_not_found_in_db"}}`))
		return
	}
	if p.refuse != nil {
		if status := p.refuse(r.URL.Path, page); status != 0 {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"detail":"Internal Server Error"}`))
			return
		}
	}
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			p.t.Error(err)
		}
	}
	whole := func(table string) []any { rows, _ := p.list(table, 1, 1<<20); return rows }
	switch r.URL.Path {
	case "/key/list":
		if r.URL.Query().Get("return_full_object") != "true" {
			p.t.Error("keys were asked for without their settings")
		}
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		rows, pages := p.list("LiteLLM_VerificationToken", page, min(size, 100))
		answer(map[string]any{"keys": rows, "total_count": len(rows), "current_page": page, "total_pages": pages})
	case "/user/list":
		rows, pages := p.list("LiteLLM_UserTable", page, 2)
		answer(map[string]any{"users": rows, "total": len(rows), "page": page, "page_size": 2, "total_pages": pages})
	case "/team/list":
		answer(whole("LiteLLM_TeamTable"))
	case "/team/info":
		var in []any
		for i, row := range p.rows["LiteLLM_TeamMembership"] {
			if row.Text("team_id") == r.URL.Query().Get("team_id") {
				in = append(in, whole("LiteLLM_TeamMembership")[i])
			}
		}
		answer(map[string]any{"team_id": r.URL.Query().Get("team_id"), "team_info": map[string]any{}, "keys": []any{}, "team_memberships": in})
	case "/budget/list":
		answer(whole("LiteLLM_BudgetTable"))
	case "/customer/list":
		answer(whole("LiteLLM_EndUserTable"))
	case "/tag/list":
		tags := map[string]any{}
		for i, row := range p.rows["LiteLLM_TagTable"] {
			tags[row.Text("tag_name")] = whole("LiteLLM_TagTable")[i]
		}
		answer(tags)
	case "/organization/list":
		answer(whole("LiteLLM_OrganizationTable"))
	case "/config/pass_through_endpoint":
		answer(map[string]any{"endpoints": p.rows["LiteLLM_Config"][0].Object("param_value")["pass_through_endpoints"]})
	default:
		http.NotFound(w, r)
	}
}

func (p *proxy) read(t *testing.T, key string) (*litellm.Records, error) {
	t.Helper()
	p.t, p.rows = t, tables(t)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	from := source.Proxy{URL: server.URL + "/", Key: "sk-" + "x", Client: server.Client()}
	if key != "" {
		from.Key = masterKey
	}
	r, err := from.Read(t.Context())
	if r != nil {
		r.From = "dump.sql"
	}
	return r, err
}

// Guarantee: a running proxy says the same as its database, whatever pages it has; only what it does not tell is missing.
func TestProxy(t *testing.T) {
	t.Parallel()
	got, err := (&proxy{}).read(t, masterKey)
	if err != nil {
		t.Fatal(err)
	}
	want := records(t, tables(t))
	want.Settings, want.Missing = nil, nil
	if diff := cmp.Diff(show(t, convert(t, want)), show(t, convert(t, got))); diff != "" {
		t.Errorf("-dump +proxy\n%s", diff)
	}
	many, err := (&proxy{keys: 250}).read(t, masterKey)
	if err != nil || len(many.Keys) != len(want.Keys)+250 {
		t.Errorf("%d keys, %v", len(many.Keys), err)
	}
}

// Guarantee: a list that cannot be read whole is an error, a key that is refused says so, and a list that an older version does not
// have is named as missing.
func TestProxyThatFails(t *testing.T) {
	t.Parallel()
	if _, err := (&proxy{}).read(t, ""); !isFault(err, fault.UnauthenticatedErr) {
		t.Errorf("wrong key: %v", err)
	}
	for name, refuse := range map[string]func(string, int) int{
		"first page": func(path string, _ int) int { return at(path == "/key/list", 500) },
		"third page": func(path string, page int) int { return at(path == "/key/list" && page == 3, 502) },
		"teams":      func(path string, _ int) int { return at(path == "/team/list", 500) },
		"members":    func(path string, _ int) int { return at(path == "/team/info", 503) },
	} {
		if _, err := (&proxy{keys: 250, refuse: refuse}).read(t, masterKey); !isFault(err, fault.UnavailableErr) {
			t.Errorf("%s: %v", name, err)
		}
	}
	older := &proxy{refuse: func(path string, _ int) int { return at(path == "/tag/list", 404) }}
	r, err := older.read(t, masterKey)
	if err != nil || len(r.Missing) != 1 || !strings.Contains(r.Missing[0], "/tag/list") {
		t.Errorf("%v, %v", r, err)
	}
	for _, url := range []string{"", "litellm:4000", "ftp://x"} {
		if _, err := (&source.Proxy{URL: url, Client: http.DefaultClient}).Read(t.Context()); !isFault(err, fault.InvalidArgument) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func at(is bool, status int) int {
	if is {
		return status
	}
	return 0
}

func isFault(err error, code fault.Code) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Code == code
}
