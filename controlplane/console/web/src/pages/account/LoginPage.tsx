import { Alert, Button, Code, Divider, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@connectrpc/connect-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import { boot } from '@/boot';
import { queryClient } from '@/api/client';
import { problemOf } from '@/api/errors';
import { CopyText } from '@/components/CopyText';
import { Failure } from '@/components/Region';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { t } from '@/text/account';
import { Frame } from './Frame';

const route = getRouteApi('/login');

/** An address of this console, or the start: nothing else is gone to after signing in. */
export function localTarget(next: string | undefined): string {
  return next && /^\/(?![/\\])/.test(next) ? next : '/';
}

export function LoginPage() {
  const { next, ended, error } = route.useSearch();
  const router = useRouter();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useMutation(AccountService.method.signIn);
  const wait = useCountdown(signIn.error ? problemOf(signIn.error).retryAfterMs : 0);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    signIn.mutate(
      { email, password },
      {
        onSuccess: async () => {
          queryClient.clear();
          await router.navigate({ href: localTarget(next), replace: true });
        },
        onError: () => setPassword(''),
      },
    );
  };
  const { oidc } = boot.signIn;
  return (
    <Frame title={t('signInTo', { name: boot.name || 'Tollgate' })}>
      {boot.needsSetup ? (
        <Alert variant="light" color="indigo">
          <Stack gap="xs">
            <Text size="sm">{t('setupNeeded')}</Text>
            <div>
              <Code>{t('setupCommand')}</Code> <CopyText value={t('setupCommand')} iconOnly />
            </div>
          </Stack>
        </Alert>
      ) : null}
      {ended && !signIn.error ? (
        <Text size="sm" role="status">
          {t('ended')}
        </Text>
      ) : null}
      {error && !signIn.error ? (
        <Alert variant="light" color="red" role="alert" title={t('ssoFailed')}>
          <Code>{error}</Code>
        </Alert>
      ) : null}
      {signIn.error ? <Failure error={signIn.error} /> : null}
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput label={t('email')} type="email" name="email" autoComplete="username" required withAsterisk={false} autoFocus value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
          <PasswordInput label={t('password')} name="password" autoComplete="current-password" required withAsterisk={false} value={password} onChange={(e) => setPassword(e.currentTarget.value)} />
          <Button type="submit" size="sm" fullWidth loading={signIn.isPending} disabled={wait > 0}>
            {wait > 0 ? t('wait', { n: wait }) : t('signInButton')}
          </Button>
        </Stack>
      </form>
      {oidc ? (
        <>
          <Divider label={t('or')} />
          <Button component="a" href={`${oidc.url}${oidc.url.includes('?') ? '&' : '?'}return=${encodeURIComponent(localTarget(next))}`} variant="default" size="sm" fullWidth>
            {t('orSso', { provider: oidc.name })}
          </Button>
        </>
      ) : null}
    </Frame>
  );
}

// Whole seconds left of a wait that began when it was told.
function useCountdown(ms: number): number {
  const [until, setUntil] = useState(0);
  const [left, setLeft] = useState(0);
  useEffect(() => setUntil(ms > 0 ? Date.now() + ms : 0), [ms]);
  useEffect(() => {
    const tick = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    tick();
    if (!until) return;
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}
