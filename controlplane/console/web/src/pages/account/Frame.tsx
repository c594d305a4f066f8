import { Title } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';
import classes from './Frame.module.css';

/** What stands alone in the middle of the page, for who is not signed in. */
export function Frame({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <main className={classes.frame}>
      <div className={classes.box}>
        <img src="icon.svg" width={40} height={40} alt="" />
        <Title order={1}>{title}</Title>
        {children}
      </div>
    </main>
  );
}
