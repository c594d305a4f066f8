package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
	"tollgate/internal/contract"
	"tollgate/internal/id"
)

const modelColumns = `m.id, m.name, m.settings, m.revision, m.create_time, m.update_time,
	coalesce((SELECT g.owner FROM control.managed g WHERE g.kind = 'model' AND g.object_id = m.id), '')`

const (
	selectModel = `SELECT ` + modelColumns + ` FROM control.model m
		WHERE m.id = $1 OR m.id = (SELECT n.model_id FROM control.model_name n WHERE n.name = $1)`
	// An alias does not say which model is changed: it would become its name.
	selectModelItself = `SELECT ` + modelColumns + ` FROM control.model m WHERE m.id = $1 OR m.name = $1`
	selectAllModels   = `SELECT ` + modelColumns + ` FROM control.model m ORDER BY m.name`
	selectTakenNames  = `
		SELECT n.name, m.name FROM control.model_name n JOIN control.model m ON m.id = n.model_id
		WHERE n.name = ANY($1) AND n.model_id <> $2`
	insertModel = `
		INSERT INTO control.model (id, name, settings, revision, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6)`
	updateModel = `
		UPDATE control.model SET name = $2, settings = $3, revision = $4, create_time = $5, update_time = $6 WHERE id = $1`
	deleteModel          = `DELETE FROM control.model WHERE id = $1`
	deleteModelNames     = `DELETE FROM control.model_name WHERE model_id = $1`
	insertModelNames     = `INSERT INTO control.model_name (model_id, name) SELECT $1, unnest($2::text[])`
	deleteModelSecrets   = `DELETE FROM control.model_secret WHERE model_id = $1`
	insertModelSecrets   = `INSERT INTO control.model_secret (model_id, secret_id) SELECT $1, unnest($2::text[])`
	deleteModelAdapters  = `DELETE FROM control.model_adapter WHERE model_id = $1`
	insertModelAdapters  = `INSERT INTO control.model_adapter (model_id, adapter_id) SELECT $1, unnest($2::text[])`
	selectKnownAdapters  = `SELECT a.id, a.name FROM control.adapter a WHERE a.name = ANY($1) ORDER BY a.name`
	setModelSettings     = `UPDATE control.model SET settings = $2 WHERE id = $1`
	selectDefaultUnknown = `
		SELECT NOT EXISTS (SELECT FROM control.model_name n WHERE ` + fitsName + `)
		FROM (SELECT jsonb_build_object('default_model', $1::text) AS models) e`
)

// modelSettings is what is stored of a model beside its name.
type modelSettings struct {
	Aliases     []string              `json:"aliases,omitempty"`
	Deployments []registry.Deployment `json:"deployments"`
	Balance     registry.Balance      `json:"balance"`
	registry.Resilience
}

func scanModel(row pgx.CollectableRow) (registry.Model, error) {
	var m registry.Model
	var raw []byte
	if err := row.Scan(&m.ID, &m.Name, &raw, &m.Revision, &m.Created, &m.Updated, &m.ManagedBy); err != nil {
		return m, err
	}
	var s modelSettings
	if err := json.Unmarshal(raw, &s); err != nil {
		return m, fmt.Errorf("settings of model %s: %w", m.ID, err)
	}
	m.Aliases, m.Deployments, m.Balance, m.Resilience = s.Aliases, s.Deployments, s.Balance, s.Resilience
	return m, nil
}

// settingsOf is what is stored of a model.
func settingsOf(m *registry.Model) ([]byte, error) {
	raw, err := json.Marshal(modelSettings{m.Aliases, m.Deployments, m.Balance, m.Resilience})
	if err != nil {
		return nil, fmt.Errorf("settings of model %s: %w", m.ID, err)
	}
	return raw, nil
}

// Model finds a model by id, name or alias.
func (s *Store) Model(ctx context.Context, ref string) (registry.Model, error) {
	m, err := findOne(ctx, s.db(ctx), "model", ref, selectModel, scanModel)
	return m, translate(err)
}

// CreateModel stores a new model. What was found wrong with the request before goes into p.
func (s *Store) CreateModel(ctx context.Context, actor string, m registry.Model, p *registry.Problems) (registry.Model, error) {
	m.Normalize()
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		m.ID = id.New(id.Model)
		refs, err := c.checkModel(ctx, &m, p.Clone())
		if err != nil {
			return err
		}
		for i := range m.Deployments {
			m.Deployments[i].PriceVersion = c.revision
		}
		m.Revision, m.Created, m.Updated = c.revision, c.now, c.now
		if err := c.writeModel(ctx, insertModel, &m, refs); err != nil {
			return err
		}
		c.record("create", "model", m.ID, nil, m)
		return nil
	})
	return m, err
}

// UpdateModel replaces the settings of the model with m's id or, without one, m's name. An empty etag skips the
// comparison. Settings that are those it has make no revision.
func (s *Store) UpdateModel(ctx context.Context, actor string, m registry.Model, etag string, p *registry.Problems) (registry.Model, error) {
	m.Normalize()
	err := s.change(ctx, actor, func(ctx context.Context, c *change) error {
		ref := m.ID
		if ref == "" {
			ref = m.Name
		}
		old, err := findOne(ctx, c, "model", ref, selectModelItself, scanModel)
		if err != nil {
			return err
		}
		if err := compareETag("model", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		m.ID, m.ManagedBy = old.ID, old.ManagedBy
		refs, err := c.checkModel(ctx, &m, p.Clone())
		if err != nil {
			return err
		}
		keepPriceVersions(&m, &old, c.revision)
		if same, err := sameModel(&m, &old); err != nil {
			return err
		} else if same {
			m = old
			return errNoChange
		}
		m.Revision, m.Created, m.Updated = c.revision, old.Created, c.now
		if err := c.writeModel(ctx, updateModel, &m, refs); err != nil {
			return err
		}
		c.record("update", "model", m.ID, old, m)
		return nil
	})
	return m, err
}

// keepPriceVersions gives a deployment a new version of its price where that changed. A deployment is the same as long
// as its name is.
func keepPriceVersions(m, old *registry.Model, revision int64) {
	before := map[string]*registry.Deployment{}
	for i := range old.Deployments {
		before[old.Deployments[i].Name] = &old.Deployments[i]
	}
	for i := range m.Deployments {
		d := &m.Deployments[i]
		d.PriceVersion = revision
		if o := before[d.Name]; o != nil && d.Price.Equal(&o.Price) {
			d.PriceVersion = o.PriceVersion
		}
	}
}

// sameModel says whether an update would store what is there already.
func sameModel(m, old *registry.Model) (bool, error) {
	a, err := settingsOf(m)
	if err != nil {
		return false, err
	}
	b, err := settingsOf(old)
	return m.Name == old.Name && bytes.Equal(a, b), err
}

// references are the ids of what a model refers to.
type references struct{ secrets, adapters []string }

// checkModel runs the rules and returns what m refers to. The problems it gets are a copy, because a transaction may be
// run again.
func (c *change) checkModel(ctx context.Context, m *registry.Model, p *registry.Problems) (refs references, err error) {
	facts := registry.ModelFacts{Taken: map[string]string{}}
	taken, err := list(ctx, c, "names of models", pgx.RowToStructByPos[named], selectTakenNames, askable(m.Names()), m.ID)
	if err != nil {
		return refs, err
	}
	for _, t := range taken {
		facts.Taken[t.ID] = t.Name
	}
	if refs.secrets, facts.Secrets, err = c.known(ctx, "secrets", selectKnownSecrets, m.SecretRefs()); err != nil {
		return refs, err
	}
	if refs.adapters, facts.Adapters, err = c.known(ctx, "adapters", selectKnownAdapters, m.AdapterRefs()); err != nil {
		return refs, err
	}
	m.Check(p, facts)
	return refs, p.Err("the model")
}

// known finds those of some names that exist.
func (c *change) known(ctx context.Context, what, sql string, asked []string) (ids, names []string, err error) {
	all, err := list(ctx, c, what, pgx.RowToStructByPos[named], sql, askable(asked))
	for _, n := range all {
		ids, names = append(ids, n.ID), append(names, n.Name)
	}
	return ids, names, err
}

// askable leaves out names that the database can neither hold nor be asked for.
func askable(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		if !strings.ContainsRune(n, 0) {
			out = append(out, n)
		}
	}
	return out
}

func (c *change) writeModel(ctx context.Context, sql string, m *registry.Model, refs references) error {
	settings, err := settingsOf(m)
	if err != nil {
		return err
	}
	var b pgx.Batch
	b.Queue(sql, m.ID, m.Name, settings, m.Revision, m.Created, m.Updated)
	b.Queue(deleteModelNames, m.ID)
	b.Queue(insertModelNames, m.ID, m.Names())
	b.Queue(deleteModelSecrets, m.ID)
	b.Queue(insertModelSecrets, m.ID, refs.secrets)
	b.Queue(deleteModelAdapters, m.ID)
	b.Queue(insertModelAdapters, m.ID, refs.adapters)
	if err := c.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	c.touch(contract.ConfigRoutes)
	return nil
}

// DeleteModel removes a model. What refers to it by name finds none from then on.
func (s *Store) DeleteModel(ctx context.Context, actor, ref, etag string) error {
	return s.change(ctx, actor, func(ctx context.Context, c *change) error {
		old, err := findOne(ctx, c, "model", ref, selectModelItself, scanModel)
		if err != nil {
			return err
		}
		if err := compareETag("model", old.Name, etag, old.ETag()); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, deleteModel, old.ID); err != nil {
			return fmt.Errorf("delete model: %w", err)
		}
		c.touch(contract.ConfigRoutes)
		c.record("delete", "model", old.ID, old, nil)
		return nil
	})
}

// modelFacts finds out what the rules of an endpoint that serves models need to know.
func (c *change) modelFacts(ctx context.Context, e *registry.Endpoint, facts *registry.EndpointFacts) error {
	if e.Models == nil {
		return nil
	}
	_, adapters, err := c.known(ctx, "adapters", selectKnownAdapters, []string{e.Models.Adapter})
	if err != nil {
		return err
	}
	facts.Adapter = len(adapters) > 0
	e.Models.DefaultUnknown = false
	if name := e.Models.Default; name != "" && !strings.ContainsRune(name, 0) {
		if err := c.QueryRow(ctx, selectDefaultUnknown, name).Scan(&e.Models.DefaultUnknown); err != nil {
			return fmt.Errorf("read names of models: %w", err)
		}
	}
	return nil
}

// repriceModels gives deployments whose prices refer to one of some lists a new version of their price.
func (c *change) repriceModels(ctx context.Context, lists map[string]bool) error {
	all, err := list(ctx, c, "models", scanModel, selectAllModels)
	if err != nil {
		return err
	}
	for i := range all {
		m, changed := &all[i], false
		for j := range m.Deployments {
			if d := &m.Deployments[j]; refersTo(&d.Price, lists) {
				d.PriceVersion, changed = c.revision, true
			}
		}
		if !changed {
			continue
		}
		settings, err := settingsOf(m)
		if err != nil {
			return err
		}
		if _, err := c.Exec(ctx, setModelSettings, m.ID, settings); err != nil {
			return fmt.Errorf("write price versions: %w", err)
		}
		c.touch(contract.ConfigRoutes)
	}
	return nil
}
