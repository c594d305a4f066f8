package store

import (
	"context"
	"fmt"
)

const (
	dismissSteps  = `INSERT INTO control.first_steps_dismissed (who, time) VALUES ($1, clock_timestamp()) ON CONFLICT DO NOTHING`
	restoreSteps  = `DELETE FROM control.first_steps_dismissed WHERE who = $1`
	stepsAreAway  = `SELECT EXISTS (SELECT FROM control.first_steps_dismissed d WHERE d.who = $1)`
	driftPossible = `
		SELECT EXISTS (SELECT FROM control.managed m CROSS JOIN LATERAL (
			SELECT a.via, a.revision FROM control.audit a WHERE a.kind = m.kind AND a.object_id = m.object_id ORDER BY a.revision DESC LIMIT 1
		) a WHERE a.revision > m.revision AND a.via <> 'file')`
)

// DismissFirstSteps keeps whether somebody wants to see the first steps. It is no change of the configuration.
func (s *Store) DismissFirstSteps(ctx context.Context, who string, dismissed bool) error {
	sql := restoreSteps
	if dismissed {
		sql = dismissSteps
	}
	if _, err := s.writer(ctx).Exec(ctx, sql, who); err != nil {
		return translate(fmt.Errorf("keep first steps: %w", err))
	}
	return nil
}

// FirstStepsDismissed says whether somebody does not want to see the first steps.
func (s *Store) FirstStepsDismissed(ctx context.Context, who string) (yes bool, err error) {
	err = s.db(ctx).QueryRow(ctx, stepsAreAway, who).Scan(&yes)
	return yes, translate(err)
}

// MayHaveDrifted says whether anything that a file manages was changed last by other means. It need not differ from its file for that.
func (s *Store) MayHaveDrifted(ctx context.Context) (yes bool, err error) {
	err = s.db(ctx).QueryRow(ctx, driftPossible).Scan(&yes)
	return yes, translate(err)
}
