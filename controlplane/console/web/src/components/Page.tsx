import { Anchor, Group, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';
import { boot } from '@/boot';
import { t } from '@/text/shell';
import { CopyAs, type CopyAsProps } from './CopyAs';
import classes from './Page.module.css';

/** A page: its one heading, what can be done there, and how to have the same in a terminal. */
export function Page({
  title,
  heading,
  parent,
  beside,
  intro,
  actions,
  copy,
  wide,
  children,
}: {
  /** Title of the document. */
  title: string;
  /** The heading, where it is more than the title. */
  heading?: ReactNode;
  parent?: { to: string; label: string };
  /** What stands beside the heading: chips, a time. */
  beside?: ReactNode;
  intro?: ReactNode;
  actions?: ReactNode;
  copy?: CopyAsProps;
  /** Without the bound of the width that text is comfortable in. */
  wide?: boolean;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = t('documentTitle', { page: title, name: boot.name || t('product') });
  }, [title]);
  return (
    <div className={classes.page} data-wide={wide || undefined}>
      {parent ? (
        <Anchor component={Link} to={parent.to} size="xs" className={classes.parent}>
          {`‹ ${parent.label}`}
        </Anchor>
      ) : null}
      <div className={classes.head}>
        <Group gap="sm" className={classes.title}>
          <Title order={1} className="wrap">{heading ?? title}</Title>
          {beside}
        </Group>
        <Group gap="xs" className={classes.actions}>
          {actions}
          {copy ? <CopyAs {...copy} /> : null}
        </Group>
      </div>
      {intro ? <div className={classes.intro}>{intro}</div> : null}
      {children}
    </div>
  );
}

/** A part of a page with a heading. */
export function Section({ title, actions, children, flush, id }: { title: ReactNode; actions?: ReactNode; children: ReactNode; flush?: boolean; id?: string }) {
  return (
    <section className={`card ${classes.section}`} id={id}>
      <div className={classes.sectionHead}>
        <Title order={2}>{title}</Title>
        {actions ? <Group gap="xs">{actions}</Group> : null}
      </div>
      <div className={flush ? classes.flush : classes.body}>{children}</div>
    </section>
  );
}
