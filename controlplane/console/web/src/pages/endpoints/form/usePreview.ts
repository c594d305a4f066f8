import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { useDebouncedValue } from '@mantine/hooks';
import { useMemo } from 'react';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import type { Sent } from './model';

/** Asks the server what a draft would do, a moment after it was last changed. */
export function usePreview(draft: Sent, tries: { method: string; path: string }[], create: boolean) {
  const now = useMemo(() => ({ draft, tries }), [draft, tries]);
  const [settled] = useDebouncedValue(now, 150);
  const query = useQuery(
    EndpointService.method.previewEndpoint,
    { endpoint: settled.draft.endpoint, tries: settled.tries, create },
    { placeholderData: keepPreviousData, staleTime: Infinity, gcTime: 0, refetchOnWindowFocus: false },
  );
  /** Whether the answer is about the draft as it is now. */
  const current = settled === now && !query.isPlaceholderData && !query.isFetching;
  return { query, about: settled.draft, current };
}
