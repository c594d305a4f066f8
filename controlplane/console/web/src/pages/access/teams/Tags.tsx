import { Button, Drawer, Stack, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Empty, NoMatch, Region } from '@/components/Region';
import { When } from '@/components/When';
import { type Tag, TagService } from '@/gen/tollgate/control/v1/tag_pb';
import { count } from '@/lib/text';
import { t as shared } from '@/text/access';
import { t as shell } from '@/text/shell';
import { t } from '@/text/teams';
import classes from '../Access.module.css';
import { anyway } from '../keys/actions';
import { unknown } from '../keys/columns';
import { Buttons, useSubmit, Wrong } from '../submit';
import type { ListProps } from './Customers';

const calls = clientOf(TagService);

export function TagList({ q, sel, onSearch, mayWrite }: ListProps) {
  const query = useInfiniteQuery(
    TagService.method.listTags,
    { filter: q ?? '', pageSize: 500, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData },
  );
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.tags) ?? [], [query.data]);
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const number = (n: bigint) => <span className={n ? 'num' : 'dim'}>{count(n)}</span>;
  const columns: Column<Tag>[] = [
    { id: 'name', header: t('tag'), fixed: true, cell: (x) => <span className={classes.name}>{x.name}</span> },
    { id: 'description', header: shared('description'), cell: (x) => x.description || unknown },
    { id: 'keys', header: t('keys'), align: 'right', cell: (x) => number(x.keys) },
    { id: 'budgets', header: t('budgets'), align: 'right', cell: (x) => number(x.budgets) },
    { id: 'limits', header: t('limits'), align: 'right', cell: (x) => number(x.limits) },
    { id: 'created', header: t('described'), align: 'right', cell: (x) => <When at={x.createTime} /> },
  ];
  const open = rows.find((x) => x.name === sel);
  if (query.data && !rows.length && !q) {
    return (
      <div className="card">
        <Empty title={t('noTags')} cli="tollgate tag set batch --description 'Jobs that can wait'" actions={mayWrite ? <Button onClick={() => onSearch({ sel: 'new' })}>{t('describeTag')}</Button> : null}>
          {t('noTagsText')}
        </Empty>
      </div>
    );
  }
  return (
    <>
      <div className={classes.tools}>
        <FilterInput value={q} width={360} label={t('filterTags')} placeholder={t('filterTagsHint')} error={wrong} onChange={(text) => onSearch({ q: text })} />
      </div>
      <div className="card">
        <Region query={wrong ? { ...query, error: null } : query}>
          {() =>
            rows.length ? (
              <DataTable
                id="tags"
                label={t('tags')}
                columns={columns}
                rows={rows}
                rowKey={(x) => x.name}
                open={sel}
                {...(mayWrite ? { onOpen: (x: Tag) => onSearch({ sel: x.name }) } : {})}
                onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
              />
            ) : (
              <NoMatch filters={q?.trim().split(/\s+/).length ?? 0} onClear={() => onSearch({ q: undefined })} />
            )
          }
        </Region>
      </div>
      {open ? <TagForm key={open.name} of={open} onClose={() => onSearch({ sel: undefined })} /> : null}
    </>
  );
}

/** Says what a tag stands for, or drops what was said. */
export function TagForm({ of: tag, onClose }: { of?: Tag; onClose: () => void }) {
  const fields = ['tag.name', 'tag.description'];
  const submit = useSubmit(fields);
  const [name, setName] = useState(tag?.name ?? '');
  const [description, setDescription] = useState(tag?.description ?? '');
  const go = (run: () => Promise<unknown>) =>
    submit.send(
      async () => {
        await run();
        await refresh(TagService);
        onClose();
      },
      name.trim() ? [] : [{ field: 'tag.name', code: 'required', text: t('tagNameMissing') }],
    );
  const headers = anyway(tag ?? { managedBy: '' });
  return (
    <Drawer opened onClose={onClose} size="min(480px, 100vw)" title={<Text fw={600} component="span">{tag ? t('editTag', { name: tag.name }) : t('describeTag')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form ref={submit.form} noValidate onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go(() => calls.setTag({ tag: { name: name.trim(), description: description.trim() } }, headers)))}>
        <Stack gap="sm">
          <Wrong of={submit} fields={fields} />
          {tag ? null : <TextInput label={shared('name')} data-field="tag.name" data-autofocus required autoComplete="off" spellCheck={false} value={name} error={submit.at('tag.name')} onChange={(e) => setName(e.currentTarget.value)} />}
          <TextInput label={shared('description')} data-field="tag.description" data-autofocus={tag ? true : undefined} value={description} error={submit.at('tag.description')} onChange={(e) => setDescription(e.currentTarget.value)} />
          <Buttons of={submit} action={shell('save')} onClose={onClose} />
          {tag?.createTime ? (
            <Button variant="subtle" color="red" className={classes.quiet} onClick={() => void go(() => calls.deleteTag({ tag: tag.name }, headers))}>
              {t('dropTag')}
            </Button>
          ) : null}
        </Stack>
      </form>
    </Drawer>
  );
}
