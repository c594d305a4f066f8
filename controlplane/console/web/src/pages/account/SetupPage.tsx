import { Button, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@connectrpc/connect-query';
import { skipToken } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { queryClient } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { Failure, Lines, Soon } from '@/components/Region';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { t } from '@/text/account';
import { Frame } from './Frame';
import { NewPassword } from './NewPassword';

// The secret of a link stands behind the #, which reaches no server and no log, and leaves the address at once.
function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  if (token) history.replaceState(history.state, '', location.pathname);
  return token;
}

export function SetupPage() {
  const [token] = useState(takeToken);
  const router = useRouter();
  const link = useQuery(AccountService.method.getLink, token ? { token } : skipToken, { staleTime: Infinity, retry: false });
  const redeem = useMutation(AccountService.method.redeemLink);
  const [name, setName] = useState<string>();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  if (!token) {
    return (
      <Frame title={t('setupTitle')}>
        <Text size="sm">{t('noToken')}</Text>
      </Frame>
    );
  }
  if (link.error) {
    return (
      <Frame title={t('setupTitle')}>
        <Failure error={link.error} title={t('linkGone')} />
      </Frame>
    );
  }
  if (!link.data) {
    return (
      <Frame title={t('setupTitle')}>
        <Soon>
          <Lines n={4} />
        </Soon>
      </Frame>
    );
  }
  const { setup } = link.data;
  const problem = redeem.error ? problemOf(redeem.error) : undefined;
  const at = (field: string) => violationsOf(problem, field)[0]?.text;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    redeem.mutate(
      { token, name: name ?? link.data.name, email: setup ? email : '', password },
      {
        onSuccess: async () => {
          queryClient.clear();
          await router.navigate({ to: '/', replace: true });
        },
      },
    );
  };
  return (
    <Frame title={setup ? t('setupTitle') : t('inviteTitle')}>
      <Text size="sm" className="dim">
        {setup ? t('setupIntro') : t('inviteIntro', { email: link.data.email })}
      </Text>
      {redeem.error && !problem?.violations.length ? <Failure error={redeem.error} /> : null}
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput label={t('name')} name="name" autoComplete="name" required withAsterisk={false} autoFocus value={name ?? link.data.name} error={at('name')} onChange={(e) => setName(e.currentTarget.value)} />
          {setup ? (
            <TextInput label={t('email')} type="email" name="email" autoComplete="username" required withAsterisk={false} value={email} error={at('email')} onChange={(e) => setEmail(e.currentTarget.value)} />
          ) : null}
          <NewPassword value={password} onChange={setPassword} error={at('password')} />
          <Button type="submit" size="sm" fullWidth loading={redeem.isPending}>
            {setup ? t('createAdmin') : t('setPassword')}
          </Button>
        </Stack>
      </form>
    </Frame>
  );
}
