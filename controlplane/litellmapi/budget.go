package litellmapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// LiteLLM's budgets are rows that other objects refer to, each of which has its own spend. Here such a row is the description of a
// tag, and what refers to it has budgets and limits of its own with these amounts.

// planFields are the fields of a row.
var planFields = []string{"max_budget", "soft_budget", "budget_duration", "rpm_limit", "tpm_limit", "max_parallel_requests"}

// longestPlan is how long the description of a tag may be.
const longestPlan = 1024

// planFieldsOf reads the description of a tag.
func planFieldsOf(t *controlv1.Tag) (map[string]any, error) {
	b, err := parseBody([]byte(t.GetDescription()))
	if err != nil {
		return nil, notFound("The tag %s is not a budget of LiteLLM's.", t.GetName())
	}
	return b.fields, nil
}

// plan finds a row; nil if there is none.
func (c *call) plan(ref string) (*controlv1.Tag, error) {
	name := mapping.Tag(mapping.BudgetTag, ref)
	got, err := c.tags.ListTags(c.ctx, &controlv1.ListTagsRequest{PageSize: 1000, Filter: quoted(name)})
	if err != nil {
		return nil, err
	}
	for _, t := range got.GetTags() {
		if t.GetName() == name {
			return t, nil
		}
	}
	return nil, nil
}

// fromPlan fills in what a request for an object leaves to the row that it names.
func (c *call) fromPlan(ref string, a *allowance) error {
	t, err := c.plan(ref)
	if err != nil {
		return err
	}
	if t == nil {
		return invalid("budget_id", "Budget not found for budget_id=%s", clip(ref))
	}
	fields, err := planFieldsOf(t)
	if err != nil {
		return err
	}
	row := &body{fields: fields, taken: map[string]bool{}}
	from := row.allowance()
	if err := row.err(); err != nil {
		return err
	}
	fill := func(name string, to, from **int64) {
		if !a.sent[name] {
			*to, a.sent[name] = *from, true
		}
	}
	fill("rpm_limit", &a.rpm, &from.rpm)
	fill("tpm_limit", &a.tpm, &from.tpm)
	fill("max_parallel_requests", &a.concurrent, &from.concurrent)
	if !a.sent["max_budget"] {
		a.max, a.sent["max_budget"] = from.max, true
	}
	if !a.sent["soft_budget"] {
		a.soft, a.sent["soft_budget"] = from.soft, true
	}
	if !a.sent["budget_duration"] {
		a.duration, a.period, a.sent["budget_duration"] = from.duration, from.period, true
	}
	return nil
}

// writePlan stores a row.
func (c *call) writePlan(ref string, fields map[string]any) error {
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if len(text) > longestPlan {
		return invalid("budget_id", "The budget has more than %d bytes of settings.", longestPlan)
	}
	_, err = c.tags.SetTag(c.ctx, &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: mapping.Tag(mapping.BudgetTag, ref), Description: string(text)}})
	return err
}

// planAsk reads the fields of a row that a request has.
func (b *body) planAsk(fields map[string]any) error {
	b.allowance()
	for _, name := range planFields {
		if !b.has(name) {
			continue
		}
		if delete(fields, name); b.fields[name] != nil {
			fields[name] = b.fields[name]
		}
	}
	b.rest("budget_reset_at", "created_by", "updated_by")
	return b.err()
}

func (c *call) budgetNew() (any, error) {
	ref := c.body.text("budget_id")
	if ref == "" {
		ref = strings.TrimPrefix(id.New(id.Budget), "bud_")
	}
	old, err := c.plan(ref)
	if err != nil {
		return nil, err
	}
	if old != nil {
		return nil, fault.New(fault.AlreadyExists, "Budget with budget_id=%s already exists.", clip(ref))
	}
	fields := map[string]any{"budget_id": ref}
	if err := c.body.planAsk(fields); err != nil {
		return nil, err
	}
	return planObject(fields), c.writePlan(ref, fields)
}

// budgetUpdate changes a row, and what refers to it.
func (c *call) budgetUpdate() (any, error) {
	ref, fields, err := c.planOf(c.body.text("budget_id"), "budget_id")
	if err != nil {
		return nil, err
	}
	if err := c.body.planAsk(fields); err != nil {
		return nil, err
	}
	if err := c.writePlan(ref, fields); err != nil {
		return nil, err
	}
	row := &body{fields: maps.Clone(fields), taken: map[string]bool{}}
	for _, name := range planFields { // what the row does not say is none
		if !row.has(name) {
			row.fields[name] = nil
		}
	}
	a := row.allowance()
	users, err := c.usersOf(ref)
	if err != nil {
		return nil, err
	}
	for _, o := range users {
		if err := c.allow(o, a); err != nil {
			return nil, err
		}
	}
	return planObject(fields), nil
}

// usersOf are the keys and customers that refer to a row.
func (c *call) usersOf(ref string) ([]owner, error) {
	var out []owner
	keys, err := c.listKeys("", "")
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if notesOf(k.GetMetadata()).text("budget_id") == ref {
			out = append(out, owner{"key", k.GetName()})
		}
	}
	customers, err := c.allCustomers()
	if err != nil {
		return nil, err
	}
	for _, m := range customers {
		if notesOf(m.GetMetadata()).text("budget_id") == ref {
			out = append(out, owner{"customer", m.GetName()})
		}
	}
	return out, nil
}

func (c *call) planOf(ref, field string) (string, map[string]any, error) {
	if ref == "" {
		return "", nil, missing(field)
	}
	t, err := c.plan(ref)
	if err != nil {
		return "", nil, err
	}
	if t == nil {
		return "", nil, notFound("Budget not found for budget_id=%s", clip(ref))
	}
	fields, err := planFieldsOf(t)
	return ref, fields, err
}

func (c *call) budgetDelete() (any, error) {
	ref, fields, err := c.planOf(c.body.text("id"), "id")
	if err != nil {
		return nil, err
	}
	users, err := c.usersOf(ref)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return nil, fault.New(fault.FailedPrecondition, "Keys or customers have this budget, %d in all: give them another first.", len(users))
	}
	if _, err := c.tags.DeleteTag(c.ctx, &controlv1.DeleteTagRequest{Tag: mapping.Tag(mapping.BudgetTag, ref)}); err != nil {
		return nil, err
	}
	return planObject(fields), nil
}

func planObject(fields map[string]any) object {
	out := object{"budget_id": fields["budget_id"], "model_max_budget": nil, "budget_reset_at": nil}
	for _, name := range planFields {
		out[name] = fields[name]
	}
	return out
}

func (c *call) budgetInfo() (any, error) {
	refs := c.body.texts("budgets")
	if len(refs) == 0 {
		return nil, missing("budgets")
	}
	out := []any{}
	for _, ref := range refs {
		_, fields, err := c.planOf(ref, "budgets")
		if err != nil && !is(err, fault.ObjectNotFound) {
			return nil, err
		}
		if err == nil {
			out = append(out, planObject(fields))
		}
	}
	return out, nil
}

// tagsWith lists tags whose names begin so.
func (c *call) tagsWith(prefix string) ([]*controlv1.Tag, error) {
	var all []*controlv1.Tag
	req := &controlv1.ListTagsRequest{PageSize: 1000}
	if prefix != "" {
		req.Filter = quoted(prefix)
	}
	for range mostPages {
		page, err := c.tags.ListTags(c.ctx, req)
		if err != nil {
			return nil, err
		}
		for _, t := range page.GetTags() {
			if strings.HasPrefix(t.GetName(), prefix) {
				all = append(all, t)
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

func (c *call) budgetList() (any, error) {
	all, err := c.tagsWith(mapping.BudgetTag)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, t := range all {
		if fields, err := planFieldsOf(t); err == nil {
			out = append(out, planObject(fields))
		}
	}
	return out, nil
}

// budgetSettings tells LiteLLM's console which fields there are.
func (c *call) budgetSettings() (any, error) {
	_, fields, err := c.planOf(c.r.URL.Query().Get("budget_id"), "budget_id")
	if err != nil {
		return nil, err
	}
	about := map[string]string{
		"max_budget": "Requests are refused beyond this amount of US dollars.", "soft_budget": "A warning is recorded at this amount.",
		"budget_duration": "How often it starts anew: 1h, 1d, 7d, 30d or another number of days.", "rpm_limit": "Requests a minute.",
		"tpm_limit": "Units a minute.", "max_parallel_requests": "Requests at a time.",
	}
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(about)) {
		kind := "Integer"
		switch name {
		case "max_budget", "soft_budget":
			kind = "Float"
		case "budget_duration":
			kind = "String"
		}
		out = append(out, object{
			"field_name": name, "field_type": kind, "field_description": about[name], "field_value": fields[name],
			"stored_in_db": fields[name] != nil, "field_default_value": nil,
		})
	}
	return out, nil
}
