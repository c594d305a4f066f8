import { clone } from '@bufbuild/protobuf';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { type Endpoint, EndpointSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { fromStore, same, sent, toStore } from './model';

const keyOf = (id: string) => `tollgate-draft-endpoint-${id || 'new'}`;

function stored(id: string): Endpoint | undefined {
  try {
    const text = sessionStorage.getItem(keyOf(id));
    return text ? fromStore(text) : undefined;
  } catch {
    // Storage may be off.
    return undefined;
  }
}

/** Forgets the draft that the tab keeps of an endpoint, or of a new one. */
export function dropDraft(id: string): void {
  try {
    sessionStorage.removeItem(keyOf(id));
  } catch {
    // Storage may be off.
  }
}

/**
 * The endpoint while it is edited. The tab keeps it until it is saved, so that a reload loses nothing. Values that look like
 * credentials are not kept.
 */
export function useDraft(start: Endpoint, id: string, restore: boolean) {
  const [base, setBase] = useState(start);
  const [kept] = useState(() => (restore ? stored(id) : undefined));
  const first = kept && (!id || kept.etag === start.etag) ? kept : undefined;
  const [draft, setDraft] = useState(() => clone(EndpointSchema, first ?? start));
  const [restored, setRestored] = useState(first !== undefined && !same(first, start));
  const dirty = useMemo(() => !same(draft, base), [draft, base]);
  const change = useCallback((edit: (e: Endpoint) => void) => {
    setDraft((now) => {
      const next = clone(EndpointSchema, now);
      edit(next);
      return next;
    });
  }, []);
  const reset = useCallback(
    (to: Endpoint, as: Endpoint = to) => {
      setBase(to);
      setDraft(clone(EndpointSchema, as));
      setRestored(false);
      dropDraft(id);
    },
    [id],
  );
  // Somebody else's change is taken over where nothing was changed here.
  const seen = useRef(start.etag);
  useEffect(() => {
    if (start.etag === seen.current) return;
    seen.current = start.etag;
    if (!dirty) reset(start);
  }, [start, dirty, reset]);
  useEffect(() => {
    try {
      if (dirty) sessionStorage.setItem(keyOf(id), toStore(draft));
      else sessionStorage.removeItem(keyOf(id));
    } catch {
      // Storage may be off or full.
    }
  }, [draft, dirty, id]);
  return { base, draft, change, reset, dirty, restored, toSend: useMemo(() => sent(draft), [draft]) };
}
