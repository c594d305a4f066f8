import { ActionIcon, Button, Drawer, Menu, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { IconDots, IconTrash } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { Confirm } from '@/components/Confirm';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Empty, NoMatch, Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { When } from '@/components/When';
import { type Customer, CustomerService } from '@/gen/tollgate/control/v1/customer_pb';
import { t as shared } from '@/text/access';
import { t as shell } from '@/text/shell';
import { t } from '@/text/teams';
import classes from '../Access.module.css';
import { anyway } from '../keys/actions';
import { unknown } from '../keys/columns';
import { Buttons, useSubmit, Wrong } from '../submit';

const calls = clientOf(CustomerService);

/** What a list of a tab is given. */
export interface ListProps {
  q: string | undefined;
  sel: string | undefined;
  onSearch: (change: { q?: string | undefined; sel?: string | undefined }) => void;
  mayWrite: boolean;
}

export function CustomerList({ q, sel, onSearch, mayWrite }: ListProps) {
  const query = useInfiniteQuery(
    CustomerService.method.listCustomers,
    { filter: q ?? '', pageSize: 500, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData },
  );
  const [deleting, setDeleting] = useState<Customer>();
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.customers) ?? [], [query.data]);
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const columns: Column<Customer>[] = [
    { id: 'name', header: t('customer'), fixed: true, cell: (c) => <span className={classes.name}>{c.name}</span> },
    { id: 'display', header: t('displayName'), cell: (c) => c.displayName || unknown },
    { id: 'status', header: shared('status'), cell: (c) => <Status tone={c.blocked ? 'bad' : 'ok'}>{shared(c.blocked ? 'state_blocked' : 'state_active')}</Status> },
    { id: 'seen', header: t('firstSight'), cell: (c) => (c.firstSight ? t('onFirstSight') : t('byHand')) },
    { id: 'created', header: shared('createdAt'), align: 'right', cell: (c) => <When at={c.createTime} /> },
  ];
  const open = rows.find((c) => c.name === sel);
  if (query.data && !rows.length && !q) {
    return (
      <div className="card">
        <Empty title={t('noCustomers')} cli="tollgate customer create acme" actions={mayWrite ? <Button onClick={() => onSearch({ sel: 'new' })}>{t('createCustomer')}</Button> : null}>
          {t('noCustomersText')}
        </Empty>
      </div>
    );
  }
  return (
    <>
      <div className={classes.tools}>
        <FilterInput value={q} width={360} label={t('filterCustomers')} placeholder={t('filterCustomersHint')} error={wrong} onChange={(text) => onSearch({ q: text })} />
      </div>
      <div className="card">
        <Region query={wrong ? { ...query, error: null } : query}>
          {() =>
            rows.length ? (
              <DataTable
                id="customers"
                label={t('customers')}
                columns={columns}
                rows={rows}
                rowKey={(c) => c.name}
                open={sel}
                {...(mayWrite ? { onOpen: (c: Customer) => onSearch({ sel: c.name }) } : {})}
                onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
                rowActions={(c) => (
                  <Menu>
                    <Menu.Target>
                      <ActionIcon size={24} aria-label={shared('actionsOf', { name: c.name })} onClick={(e) => e.stopPropagation()}>
                        <IconDots size={16} aria-hidden />
                      </ActionIcon>
                    </Menu.Target>
                    <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
                      <Menu.Item component={Link} to="/usage" search={{ q: `customer:${c.name}` } as never}>
                        {shared('openUsage')}
                      </Menu.Item>
                      {mayWrite ? (
                        <>
                          <Menu.Divider />
                          <Menu.Item color="red" leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setDeleting(c)}>
                            {t('delete')}
                          </Menu.Item>
                        </>
                      ) : null}
                    </Menu.Dropdown>
                  </Menu>
                )}
              />
            ) : (
              <NoMatch filters={q?.trim().split(/\s+/).length ?? 0} onClear={() => onSearch({ q: undefined })} />
            )
          }
        </Region>
      </div>
      {open ? <CustomerForm key={open.name} of={open} onClose={() => onSearch({ sel: undefined })} /> : null}
      {deleting ? (
        <Confirm
          title={t('deleteCustomer', { name: deleting.name })}
          action={t('deleteCustomerAction')}
          onClose={() => setDeleting(undefined)}
          run={async () => {
            await calls.deleteCustomer({ customer: deleting.name, etag: deleting.etag }, anyway(deleting));
            await refresh(CustomerService);
          }}
        >
          {t('deleteCustomerEffect')}
        </Confirm>
      ) : null}
    </>
  );
}

/** Makes a customer, or changes one. */
export function CustomerForm({ of: c, onClose }: { of?: Customer; onClose: () => void }) {
  const fields = ['customer.name', 'display_name', 'customer.display_name'];
  const submit = useSubmit(fields);
  const [name, setName] = useState(c?.name ?? '');
  const [display, setDisplay] = useState(c?.displayName ?? '');
  const [blocked, setBlocked] = useState(c?.blocked ?? false);
  const [budget, setBudget] = useState(true);
  const go = () =>
    submit.send(
      async () => {
        if (c) await calls.updateCustomer({ customer: c.name, displayName: display.trim(), blocked, etag: c.etag }, anyway(c));
        else await calls.createCustomer({ customer: { name: name.trim(), displayName: display.trim(), blocked }, defaultBudget: budget });
        await refresh(CustomerService);
        onClose();
      },
      name.trim() ? [] : [{ field: 'customer.name', code: 'required', text: t('customerNameMissing') }],
    );
  return (
    <Drawer opened onClose={onClose} size="min(480px, 100vw)" title={<Text fw={600} component="span">{c ? t('editCustomer', { name: c.name }) : t('createCustomer')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form ref={submit.form} noValidate onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          <Wrong of={submit} fields={fields} />
          {c ? null : <TextInput label={shared('name')} data-field="customer.name" data-autofocus required autoComplete="off" spellCheck={false} value={name} error={submit.at('customer.name')} onChange={(e) => setName(e.currentTarget.value)} />}
          <TextInput label={t('displayName')} data-field="display_name" value={display} error={submit.at('display_name') ?? submit.at('customer.display_name')} onChange={(e) => setDisplay(e.currentTarget.value)} />
          <Switch label={t('blockCustomer')} checked={blocked} onChange={(e) => setBlocked(e.currentTarget.checked)} />
          {c ? null : <Switch label={t('defaultBudget')} checked={budget} onChange={(e) => setBudget(e.currentTarget.checked)} />}
          <Buttons of={submit} action={c ? shell('save') : shared('create')} onClose={onClose} />
        </Stack>
      </form>
    </Drawer>
  );
}
