package litellmapi

import (
	"maps"
	"strings"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// own says whether a tag is one that people made, and not what a user, an organization or a budget of LiteLLM's is here.
func own(t *controlv1.Tag) bool {
	for _, prefix := range []string{mapping.UserTag, mapping.OrganizationTag, mapping.BudgetTag} {
		if strings.HasPrefix(t.GetName(), prefix) {
			return false
		}
	}
	return true
}

// tag finds a tag.
func (c *call) tag(name string) (*controlv1.Tag, error) {
	if name == "" {
		return nil, missing("name")
	}
	all, err := c.tagsWith(name)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.GetName() == name && own(t) {
			return t, nil
		}
	}
	return nil, notFound("Tag %s not found", clip(name))
}

// tagAsk writes a tag as a request has it.
func (c *call) tagAsk(name, description string) (any, error) {
	b := c.body
	a := b.allowance()
	if !own(&controlv1.Tag{Name: name}) {
		b.wrong("name", "Tags that begin with user:, org: or litellm-plan: stand for users, organizations and budgets.")
	}
	if len(mapping.Models(b.texts("models"))) > 0 {
		b.wrong("models", "models are allowed by key and team here, and not by tag.")
	}
	b.rest()
	if err := b.err(); err != nil {
		return nil, err
	}
	if _, err := c.tags.SetTag(c.ctx, &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: name, Description: description}}); err != nil {
		return nil, err
	}
	if err := c.allow(owner{"tag", name}, a); err != nil {
		return nil, err
	}
	out := object{}
	c.after = func() error {
		t, err := c.tag(name)
		if err != nil {
			return err
		}
		info, err := c.describeTags([]*controlv1.Tag{t})
		if err != nil {
			return err
		}
		maps.Copy(out, info[0])
		return nil
	}
	return out, nil
}

func (c *call) tagNew() (any, error) {
	name := c.body.text("name")
	t, err := c.tag(name)
	if err == nil && t.GetCreateTime() != nil {
		return nil, fault.New(fault.AlreadyExists, "Tag %s already exists", clip(name))
	}
	if err != nil && !is(err, fault.ObjectNotFound) {
		return nil, err
	}
	out, err := c.tagAsk(name, c.body.text("description"))
	return object{"message": "Tag " + name + " created successfully", "tag": out}, err
}

func (c *call) tagUpdate() (any, error) {
	t, err := c.tag(c.body.text("name"))
	if err != nil {
		return nil, err
	}
	description := t.GetDescription()
	if c.body.has("description") {
		description = c.body.text("description")
	}
	out, err := c.tagAsk(t.GetName(), description)
	return object{"message": "Tag " + t.GetName() + " updated successfully", "tag": out}, err
}

func (c *call) tagDelete() (any, error) {
	t, err := c.tag(c.body.text("name"))
	if err != nil {
		return nil, err
	}
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if err := c.disallow(owner{"tag", t.GetName()}); err != nil {
		return nil, err
	}
	_, err = c.tags.DeleteTag(c.ctx, &controlv1.DeleteTagRequest{Tag: t.GetName()})
	if is(err, fault.ObjectNotFound) { // it was there by its budget alone
		err = nil
	}
	return object{"message": "Tag " + t.GetName() + " deleted successfully"}, err
}

func (c *call) describeTags(all []*controlv1.Tag) ([]object, error) {
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.GetName()
	}
	holdings, err := c.holdings("tag", names, true)
	if err != nil {
		return nil, err
	}
	spent := &ever{c: c, by: controlv1.UsageDimension_USAGE_DIMENSION_TAG}
	out := make([]object, len(all))
	for i, t := range all {
		h := holdings[t.GetName()]
		n, err := spent.of(h, t.GetName())
		if err != nil {
			return nil, err
		}
		out[i] = object{
			"name": t.GetName(), "description": nullable(t.GetDescription()), "models": []any{}, "model_info": object{}, "spend": amountOf(n),
			"created_at": nil,
		}
		if t.GetCreateTime() != nil {
			out[i]["created_at"] = stamp(t.GetCreateTime().AsTime())
		}
		if err := h.describe(out[i], nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *call) tagInfo() (any, error) {
	names := c.body.texts("names")
	if len(names) == 0 {
		return nil, missing("names")
	}
	out := object{}
	for _, name := range names {
		t, err := c.tag(name)
		if err != nil {
			return nil, err
		}
		info, err := c.describeTags([]*controlv1.Tag{t})
		if err != nil {
			return nil, err
		}
		out[name] = info[0]
	}
	return out, nil
}

func (c *call) tagList() (any, error) {
	all, err := c.tagsWith("")
	if err != nil {
		return nil, err
	}
	var mine []*controlv1.Tag
	for _, t := range all {
		if own(t) {
			mine = append(mine, t)
		}
	}
	return c.describeTags(mine)
}
