package cli

import (
	"context"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) tags() noun[*controlv1.Tag] {
	return noun[*controlv1.Tag]{
		name: "tag", plural: "tags", short: "Words on keys and requests that budgets and limits apply to", sample: "nightly",
		columns: []column[*controlv1.Tag]{
			{"NAME", (*controlv1.Tag).GetName, plain},
			{"KEYS", func(t *controlv1.Tag) string { return count(t.GetKeys()) }, right},
			{"BUDGETS", func(t *controlv1.Tag) string { return count(t.GetBudgets()) }, right},
			{"LIMITS", func(t *controlv1.Tag) string { return count(t.GetLimits()) }, right},
			{"FOR", func(t *controlv1.Tag) string { return first(t.GetDescription(), "-") }, plain},
			{"CREATED", func(t *controlv1.Tag) string { return a.when(t.GetCreateTime()) }, wide},
			{"MANAGED BY", func(t *controlv1.Tag) string { return first(t.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Tag).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Tag, string, error) {
			page, err := c.tags.ListTags(ctx, &controlv1.ListTagsRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter})
			return page.GetTags(), page.GetNextPageToken(), err
		},
		filters: "nightly",
		empty:   "There are no tags. Keys bring theirs with `%s key set KEY --tag TAG`.",
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.tags.DeleteTag(ctx, &controlv1.DeleteTagRequest{Tag: name})
			return err
		},
	}
}

func (a *app) tagCommand() *cobra.Command {
	n := a.tags()
	return n.command(a, a.tagSet(n))
}

func (a *app) tagSet(n noun[*controlv1.Tag]) *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"create", "update"}, Short: "Say what a tag is for", Args: exactly("NAME"),
		Example: "  tollgate tag set nightly --description 'runs at night'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.tags.SetTag(ctx, &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: args[0], Description: description}})
				if err != nil {
					return err
				}
				return a.done(n.result(res.GetTag()), "", "tag %s stored", res.GetTag().GetName())
			})
		},
	}
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	a.writes(cmd)
	return cmd
}
