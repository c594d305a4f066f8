import { catalogue } from '@/lib/text';

/** Words of what is shown once. */
export const t = catalogue({
  copy: 'Copy',
  copied: 'Copied',
  copyOf: 'Copy {name}',
  copyFailed: "The browser doesn't let it be copied. Mark it and copy it by hand.",
  leave: 'Leave without copying?',
  leaveText: 'It cannot be shown again.',
  leaveAnyway: 'Leave anyway',
  stay: 'Go back',
});
