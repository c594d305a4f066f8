package cli

import (
	"context"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) attentionCommand() *cobra.Command {
	var most int32
	cmd := &cobra.Command{
		Use: "attention", Aliases: []string{"overview"}, Short: "List what needs somebody, the most severe first", Args: exactly(), Example: "  tollgate attention",
		Long: "List what needs somebody, the most severe first, as the console's overview does: budgets that are used up, edges that are not heard, targets that fail, requests without a price, keys that expire. It shows what you may see of it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.overview.ListAttention(ctx, &controlv1.ListAttentionRequest{Limit: most})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"SEVERITY", "WHAT", "FIGURE", "SINCE", "KIND", "ID"}, wide: []string{"KIND", "ID"}}}
				data := []any{}
				for _, i := range res.GetItems() {
					data, r.names = append(data, view(i)), append(r.names, i.GetId())
					r.table.add(enumWord(i.GetSeverity(), "ATTENTION_SEVERITY_"), i.GetSentence(), first(i.GetFigure(), "-"), a.when(i.GetSince()),
						list(eventNames([]controlv1.AttentionKind{i.GetKind()}), "-"), i.GetId())
				}
				r.data = data
				if err := a.print(r); err != nil {
					return err
				}
				switch last := res.GetLastEndTime(); {
				case len(data) > 0:
				case last != nil:
					a.say("Nothing needs you. The last problem ended %s.", a.when(last))
				default:
					a.say("Nothing needs you.")
				}
				return nil
			})
		},
	}
	cmd.Flags().Int32Var(&most, "limit", 50, "at most this many")
	return cmd
}
