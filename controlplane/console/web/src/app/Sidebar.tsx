import { Badge, ScrollArea, Tooltip } from '@mantine/core';
import { Link, useRouterState } from '@tanstack/react-router';
import { useCaller } from '@/api/caller';
import { useBadges } from './badges';
import { destinations } from './navigation';
import classes from './Sidebar.module.css';

/** The destinations. Who may not see a page is not shown the way there. */
export function Sidebar({ icons }: { icons: boolean }) {
  const path = useRouterState({ select: (s) => s.location.pathname });
  const { may, teams } = useCaller();
  const badges = useBadges();
  const shown = destinations.filter((d) => may(d.needs) || teams.length > 0);
  return (
    <ScrollArea className={classes.nav} type="auto">
      {shown.map((d, i) => {
        const active = d.to === '/' ? path === '/' : path === d.to || path.startsWith(`${d.to}/`);
        const badge = badges[d.to];
        const Icon = d.icon;
        const link = (
          <Link to={d.to} className={classes.link} data-active={active || undefined} data-icons={icons || undefined} aria-current={active ? 'page' : undefined} aria-label={icons ? d.label : undefined}>
            <Icon size={18} stroke={1.6} aria-hidden />
            {icons ? null : <span className={classes.label}>{d.label}</span>}
            {badge ? (
              <Badge size="xs" variant="filled" circle={badge.n < 10} className={classes.badge} aria-label={badge.label}>
                {badge.n}
              </Badge>
            ) : null}
          </Link>
        );
        return (
          <div key={d.to}>
            {d.group && d.group !== shown[i - 1]?.group ? icons ? <div className={classes.line} /> : <div className={classes.group}>{d.group}</div> : null}
            {icons ? (
              <Tooltip label={d.label} position="right">
                {link}
              </Tooltip>
            ) : (
              link
            )}
          </div>
        );
      })}
    </ScrollArea>
  );
}
