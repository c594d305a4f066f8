// Shortcuts of single keys. They rest while somebody types, and can be switched off.

import { useLayoutEffect, useRef } from 'react';
import { singleKeys } from './preferences';

type Handler = () => unknown;
const stack: { current: Record<string, Handler> }[] = [];
/** The first of two keys, and when it was pressed. */
let leader: { key: string; at: number } | undefined;
const chordWithin = 1500;

function typing(target: EventTarget | null): boolean {
  const el = target as HTMLElement | null;
  return !!el?.closest?.('input:not([type=checkbox]):not([type=radio]),textarea,select,[contenteditable=true],[role=combobox],[role=menu],[role=listbox]');
}

function find(key: string): Handler | undefined {
  for (let i = stack.length - 1; i >= 0; i--) {
    const handler = stack[i]!.current[key];
    if (handler) return handler;
  }
  return undefined;
}

document.addEventListener('keydown', (e) => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || !singleKeys.get() || typing(e.target)) return;
  // A dialog has the keyboard to itself.
  if (document.querySelector('[aria-modal=true]') && !(e.target as HTMLElement).closest('[aria-modal=true]')) return;
  // What counts is when keys were pressed: a page that is busy hears of them late.
  const key = leader && e.timeStamp - leader.at < chordWithin ? `${leader.key} ${e.key}` : e.key;
  leader = undefined;
  if (key === 'g') {
    leader = { key, at: e.timeStamp };
    return;
  }
  const handler = find(key);
  if (!handler) return;
  e.preventDefault();
  handler();
});

/**
 * Binds keys while a component is there: "n", "[", or "g k" for one after the other. The innermost has precedence. The frame says
 * that it is outermost, since a page that is there at once binds its keys before the frame around it does.
 */
export function useKeys(handlers: Record<string, Handler>, outermost = false): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  // Who sees a page may use its keys at once.
  useLayoutEffect(() => {
    if (outermost) stack.unshift(latest);
    else stack.push(latest);
    return () => {
      stack.splice(stack.indexOf(latest), 1);
    };
  }, [outermost]);
}
