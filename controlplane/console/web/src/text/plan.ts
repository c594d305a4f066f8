import { catalogue } from '@/lib/text';

/** Words of plans: what files would change. */
export const t = catalogue({
  create: 'Create',
  update: 'Change',
  delete: 'Remove',
  creates: { one: '{n} to create', other: '{n} to create' },
  updates: { one: '{n} to change', other: '{n} to change' },
  deletes: { one: '{n} to remove', other: '{n} to remove' },
  created: { one: '{n} created', other: '{n} created' },
  updated: { one: '{n} changed', other: '{n} changed' },
  deleted: { one: '{n} removed', other: '{n} removed' },
  skips: { one: '{n} left out', other: '{n} left out' },
  warnings: { one: '{n} warning', other: '{n} warnings' },
  skipped: 'Left out',
  warning: 'Behaves differently',
  info: 'Good to know',
  nothing: 'Everything is already as the file says.',
  drift: 'undoes a change made elsewhere',
  fields: { one: '{n} field', other: '{n} fields' },
  was: 'was',
  unset: 'not set',
  line: '{file}:{line}',
  summary: 'Plan in short',
});
