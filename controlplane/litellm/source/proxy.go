package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tollgate/controlplane/litellm"
	"tollgate/internal/config"
	"tollgate/internal/fault"
)

// Proxy is a running LiteLLM proxy.
type Proxy struct {
	URL    string        // "http://litellm:4000"
	Key    config.Secret // its master key, or that of an administrator
	Client *http.Client
}

const (
	// pageSize is the most that LiteLLM gives at a time.
	pageSize = 100
	// maxPages bounds a list that never ends.
	maxPages = 100_000
	maxBody  = 256 << 20
)

// errMissing says that a version of LiteLLM does not have a list.
var errMissing = errors.New("not there")

// Read reads everything that the proxy tells.
func (p *Proxy) Read(ctx context.Context) (*litellm.Records, error) {
	base, err := url.Parse(p.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fault.New(fault.InvalidArgument, "%q is no URL of a LiteLLM proxy.", p.URL).WithHint("Write it as http://litellm:4000.")
	}
	r := &litellm.Records{From: base.Host}
	r.Keys, err = p.pages(ctx, "key/list", "keys", url.Values{"return_full_object": {"true"}, "include_team_keys": {"true"}}, "size")
	if err != nil {
		return nil, failed(err, "key/list")
	}
	optional := func(into *[]litellm.Row, what string, rows []litellm.Row, err error) error {
		if errors.Is(err, errMissing) {
			r.Missing = append(r.Missing, fmt.Sprintf("This version of LiteLLM has no /%s, so nothing of it is imported.", what))
			return nil
		}
		*into = rows
		return failed(err, what)
	}
	users, err := p.pages(ctx, "user/list", "users", nil, "page_size")
	if err := optional(&r.Users, "user/list", users, err); err != nil {
		return nil, err
	}
	for _, l := range []struct {
		into *[]litellm.Row
		path string
		key  string
	}{
		{&r.Teams, "team/list", ""},
		{&r.Budgets, "budget/list", ""},
		{&r.Customers, "customer/list", ""},
		{&r.Tags, "tag/list", ""},
		{&r.Organizations, "organization/list", ""},
		{&r.Endpoints, "config/pass_through_endpoint", "endpoints"},
	} {
		rows, err := p.list(ctx, l.path, l.key)
		if err := optional(l.into, l.path, rows, err); err != nil {
			return nil, err
		}
	}
	return r, p.memberships(ctx, r)
}

// memberships reads what people may spend in teams, which only the teams one by one tell.
func (p *Proxy) memberships(ctx context.Context, r *litellm.Records) error {
	for _, t := range r.Teams {
		id := t.Text("team_id")
		raw, err := p.get(ctx, "team/info", url.Values{"team_id": {id}})
		if errors.Is(err, errMissing) {
			continue
		}
		if err != nil {
			return failed(err, "team/info")
		}
		var info struct {
			Memberships json.RawMessage `json:"team_memberships"`
		}
		if err := json.Unmarshal(raw, &info); err != nil {
			return failed(fmt.Errorf("read the answer: %w", err), "team/info")
		}
		if len(info.Memberships) == 0 {
			continue
		}
		rows, err := rowsOf(info.Memberships)
		if err != nil {
			return failed(err, "team/info")
		}
		r.Memberships = append(r.Memberships, rows...)
	}
	return nil
}

// failed is what people are told when a list cannot be read.
func failed(err error, what string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.UnavailableErr, "LiteLLM's /%s cannot be read: %v.", what, err).WithHint("Nothing was imported. Look at the proxy, and import again.")
}

func (p *Proxy) list(ctx context.Context, path, key string) ([]litellm.Row, error) {
	raw, err := p.get(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	if key != "" {
		var envelope map[string]json.RawMessage
		if err := json.Unmarshal(raw, &envelope); err != nil {
			return nil, err
		}
		if raw = envelope[key]; raw == nil {
			return nil, fmt.Errorf("the answer has no %s", key)
		}
	}
	return rowsOf(raw)
}

// pages reads all pages of a list.
func (p *Proxy) pages(ctx context.Context, path, key string, query url.Values, sizeName string) (all []litellm.Row, err error) {
	for page := 1; page <= maxPages; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, sizeName: {strconv.Itoa(pageSize)}}
		maps.Copy(q, query)
		raw, err := p.get(ctx, path, q)
		if err != nil {
			return nil, err
		}
		var envelope map[string]json.RawMessage
		if err := json.Unmarshal(raw, &envelope); err != nil {
			return nil, err
		}
		rows, err := rowsOf(envelope[key])
		if err != nil || envelope[key] == nil {
			return nil, errors.Join(err, fmt.Errorf("page %d has no %s", page, key))
		}
		all = append(all, rows...)
		var pages int
		if err := json.Unmarshal(envelope["total_pages"], &pages); err != nil {
			return nil, fmt.Errorf("page %d does not say how many there are", page)
		}
		if page >= pages {
			return all, nil
		}
		if len(rows) == 0 {
			return nil, fmt.Errorf("page %d of %d is empty", page, pages)
		}
	}
	return nil, fmt.Errorf("there are more than %d pages", maxPages)
}

// get makes a request. What LiteLLM answers to it is shown to nobody: it may have keys in it.
func (p *Proxy) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	target := strings.TrimRight(p.URL, "/") + "/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.Key.Reveal())
	req.Header.Set("Accept", "application/json")
	res, err := p.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxBody:
		return nil, fmt.Errorf("the answer has more than %d bytes", maxBody)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, fault.New(fault.UnauthenticatedErr, "LiteLLM answers %d to the key for /%s.", res.StatusCode, path).
			WithHint("Give --key-file a file with its master key, or with the key of a proxy administrator.")
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed:
		return nil, errMissing
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer has the status %d", res.StatusCode)
	case !json.Valid(body):
		return nil, errors.New("the answer is no JSON")
	}
	return body, nil
}
