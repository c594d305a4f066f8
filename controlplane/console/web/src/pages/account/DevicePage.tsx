import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@connectrpc/connect-query';
import { Code, ConnectError } from '@connectrpc/connect';
import { skipToken } from '@tanstack/react-query';
import { getRouteApi, Navigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { Failure } from '@/components/Region';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { t } from '@/text/account';
import { Frame } from './Frame';
import classes from './Frame.module.css';

const route = getRouteApi('/device');

export function DevicePage() {
  const { code } = route.useSearch();
  const navigate = route.useNavigate();
  const [typed, setTyped] = useState(code ?? '');
  const caller = useQuery(AccountService.method.getCaller, {}, { retry: false });
  const waiting = useQuery(AccountService.method.getDeviceSignIn, code ? { userCode: code } : skipToken, { retry: false, staleTime: Infinity, enabled: !!caller.data });
  const decide = useMutation(AccountService.method.decideDeviceSignIn);
  if (caller.error && ConnectError.from(caller.error).code === Code.Unauthenticated) {
    return <Navigate to="/login" search={{ next: code ? `/device?code=${encodeURIComponent(code)}` : '/device' }} replace />;
  }
  if (decide.data) {
    const { agent } = decide.data;
    return (
      <Frame title={t('deviceTitle')}>
        <Text role="status">{decide.variables?.allow ? t('allowed', { agent }) : t('denied', { agent })}</Text>
      </Frame>
    );
  }
  const look = (e: FormEvent) => {
    e.preventDefault();
    void navigate({ search: { code: typed.trim() }, replace: true });
  };
  return (
    <Frame title={t('deviceTitle')}>
      {waiting.data ? (
        <>
          <Text size="sm" className="dim">
            {t('deviceIntro')}
          </Text>
          <div className={`mono ${classes.code}`}>{waiting.data.userCode}</div>
          <Text size="sm" className="wrap">
            {t('deviceAgent', { agent: waiting.data.agent })}
          </Text>
          {decide.error ? <Failure error={decide.error} /> : null}
          <Group grow>
            <Button variant="default" size="sm" loading={decide.isPending} onClick={() => decide.mutate({ userCode: waiting.data.userCode, allow: false })}>
              {t('deny')}
            </Button>
            <Button size="sm" loading={decide.isPending} onClick={() => decide.mutate({ userCode: waiting.data.userCode, allow: true })}>
              {t('allow')}
            </Button>
          </Group>
        </>
      ) : (
        <form onSubmit={look}>
          <Stack gap="sm">
            {waiting.error ? <Failure error={waiting.error} /> : null}
            <TextInput label={t('deviceCode')} value={typed} autoFocus autoComplete="off" className="mono" onChange={(e) => setTyped(e.currentTarget.value)} />
            <Button type="submit" size="sm" loading={waiting.isFetching}>
              {t('deviceContinue')}
            </Button>
          </Stack>
        </form>
      )}
    </Frame>
  );
}
