package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
)

const endpointColumns = `e.id, e.name, e.path, e.exact, e.methods, e.targets, e.headers, e.forward,
	e.key_header, e.free, e.price_nanos, e.price_version, e.timeout_ms, e.max_body_bytes,
	e.forward_trace_context, e.revision, e.create_time, e.update_time, e.abandoned, e.usage,
	e.public, e.target_settings, e.balance, e.query, e.host, e.host_text, e.credentials, e.credential_balance,
	e.pass_headers, e.connect_timeout_ms, e.idle_timeout_ms, e.total_timeout_ms, e.resilience,
	e.price, e.aws_signing, e.models, e.disabled, e.description,
	coalesce((SELECT g.owner FROM control.managed g WHERE g.kind = 'endpoint' AND g.object_id = e.id), ''),
	CASE WHEN e.models ? 'default_model' THEN NOT EXISTS (SELECT FROM control.model_name n WHERE ` + fitsName + `) ELSE false END`

// fitsName says whether an endpoint's default model has the name n, in which a "*" stands for any text.
const fitsName = `(n.name = e.models->>'default_model' OR position('*' in n.name) > 0
		AND length(e.models->>'default_model') >= length(n.name) - 1
		AND starts_with(e.models->>'default_model', split_part(n.name, '*', 1))
		AND right(e.models->>'default_model', length(split_part(n.name, '*', 2))) = split_part(n.name, '*', 2))`

// The arguments of both are those that endpointArgs makes.
const (
	insertEndpoint = `
		INSERT INTO control.endpoint (id, name, path, exact, methods, targets, headers, forward,
			key_header, free, price_nanos, price_version, timeout_ms, max_body_bytes,
			forward_trace_context, revision, create_time, update_time, abandoned, usage,
			public, target_settings, balance, query, host, host_text, credentials, credential_balance,
			pass_headers, connect_timeout_ms, idle_timeout_ms, total_timeout_ms, resilience,
			price, aws_signing, models, disabled, description)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
			$21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)`
	updateEndpoint = `
		UPDATE control.endpoint SET name = $2, path = $3, exact = $4, methods = $5, targets = $6,
			headers = $7, forward = $8, key_header = $9, free = $10, price_nanos = $11,
			price_version = $12, timeout_ms = $13, max_body_bytes = $14,
			forward_trace_context = $15, revision = $16, create_time = $17, update_time = $18,
			abandoned = $19, usage = $20, public = $21, target_settings = $22, balance = $23, query = $24,
			host = $25, host_text = $26, credentials = $27, credential_balance = $28, pass_headers = $29,
			connect_timeout_ms = $30, idle_timeout_ms = $31, total_timeout_ms = $32, resilience = $33,
			price = $34, aws_signing = $35, models = $36, disabled = $37, description = $38
		WHERE id = $1`
)

// structured are the settings of an endpoint that are stored as JSON.
type structured struct {
	headers, usage, public, targets, query, credentials, resilience, price, signing, models []byte
}

// read gives each to where it belongs. What is NULL stays as it is.
func (s *structured) read(e *registry.Endpoint) error {
	for _, part := range []struct {
		raw  []byte
		into any
	}{
		{s.headers, &e.Headers},
		{s.usage, &e.Price.Usage},
		{s.public, &e.Public},
		{s.targets, &e.Targets}, // into the targets that are there by their URLs
		{s.query, &e.Query},
		{s.credentials, &e.Credentials},
		{s.resilience, &e.Resilience},
		{s.price, &e.Price}, // beside what is in columns
		{s.signing, &e.AWS},
		{s.models, &e.Models},
	} {
		if part.raw == nil {
			continue
		}
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return err
		}
	}
	return nil
}

// priceBeside is what is stored of a price beside free, price_nanos and usage, under the names that it has in a
// price.
type priceBeside struct {
	Charge   *registry.Charge   `json:"charge,omitempty"`
	Metered  *registry.Metered  `json:"metered,omitempty"`
	Reported *registry.Reported `json:"reported,omitempty"`
}

func scanEndpoint(row pgx.CollectableRow) (registry.Endpoint, error) {
	var e registry.Endpoint
	var s structured
	var urls []string
	var timeout, connect, idle, total int64
	var unknown bool
	err := row.Scan(&e.ID, &e.Name, &e.Path, &e.Exact, &e.Methods, &urls, &s.headers, &e.Forward,
		&e.KeyHeader, &e.Price.Free, &e.Price.PerRequest, &e.PriceVersion, &timeout, &e.MaxBodyBytes,
		&e.ForwardTraceContext, &e.Revision, &e.Created, &e.Updated, &e.Abandoned, &s.usage,
		&s.public, &s.targets, &e.Balance, &s.query, &e.Host.Kind, &e.Host.Text, &s.credentials, &e.CredentialBalance,
		&e.PassHeaders, &connect, &idle, &total, &s.resilience, &s.price, &s.signing, &s.models,
		&e.Disabled, &e.Description, &e.ManagedBy, &unknown)
	if err != nil {
		return e, err
	}
	e.Timeout = millis(timeout)
	e.Timeouts = registry.Timeouts{Connect: millis(connect), Idle: millis(idle), Total: millis(total)}
	if err := s.read(&e); err != nil {
		return e, fmt.Errorf("settings of endpoint %s: %w", e.ID, err)
	}
	if e.Models != nil {
		e.Models.DefaultUnknown = unknown
	}
	// The URLs are where they always were, so that an older version reads them as well.
	targets := make([]registry.Target, len(urls))
	for i, u := range urls {
		if i < len(e.Targets) {
			targets[i] = e.Targets[i]
		}
		targets[i].URL = u
	}
	e.Targets = targets
	e.FillIn()
	return e, nil
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func endpointArgs(e *registry.Endpoint) ([]any, error) {
	urls, settings := make([]string, len(e.Targets)), make([]registry.Target, len(e.Targets))
	for i, t := range e.Targets {
		urls[i] = t.URL
		t.URL = ""
		settings[i] = t
	}
	var s structured
	var usage, public, price, signing, models any // NULL for what is not there
	if e.Price.Usage != nil {
		usage = e.Price.Usage
	}
	if e.Public != nil {
		public = e.Public
	}
	if beside := (priceBeside{e.Price.Charge, e.Price.Metered, e.Price.Reported}); beside != (priceBeside{}) {
		price = beside
	}
	if e.AWS != nil {
		signing = e.AWS
	}
	if e.Models != nil {
		models = e.Models
	}
	for _, part := range []struct {
		value any
		into  *[]byte
	}{
		{notNil(e.Headers), &s.headers},
		{usage, &s.usage},
		{public, &s.public},
		{settings, &s.targets},
		{notNil(e.Query), &s.query},
		{notNil(e.Credentials), &s.credentials},
		{e.Resilience, &s.resilience},
		{price, &s.price},
		{signing, &s.signing},
		{models, &s.models},
	} {
		if part.value == nil {
			continue
		}
		raw, err := json.Marshal(part.value)
		if err != nil {
			return nil, fmt.Errorf("settings of endpoint %s: %w", e.ID, err)
		}
		*part.into = raw
	}
	return []any{
		e.ID, e.Name, e.Path, e.Exact, notNil(e.Methods), urls, s.headers, int16(e.Forward),
		e.KeyHeader, e.Price.Free, e.Price.PerRequest, e.PriceVersion, e.Timeout.Milliseconds(), e.MaxBodyBytes,
		e.ForwardTraceContext, e.Revision, e.Created, e.Updated, int16(e.Abandoned), s.usage,
		s.public, s.targets, int16(e.Balance), s.query, int16(e.Host.Kind), e.Host.Text, s.credentials, int16(e.CredentialBalance),
		e.PassHeaders, e.Timeouts.Connect.Milliseconds(), e.Timeouts.Idle.Milliseconds(), e.Timeouts.Total.Milliseconds(), s.resilience,
		s.price, s.signing, s.models, e.Disabled, e.Description,
	}, nil
}

// sameSettings says whether an update would store what is there already.
func sameSettings(e, old *registry.Endpoint) (bool, error) {
	next := *e
	next.Revision, next.PriceVersion, next.Created, next.Updated = old.Revision, old.PriceVersion, old.Created, old.Updated
	a, err := endpointArgs(&next)
	if err != nil {
		return false, err
	}
	b, err := endpointArgs(old)
	return reflect.DeepEqual(a, b), err
}

// notNil: an empty list is a list, and not NULL.
func notNil[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
