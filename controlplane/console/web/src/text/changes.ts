import { catalogue } from '@/lib/text';

/** Words of tables of what changed. */
export const t = catalogue({
  label: 'What changed',
  none: 'No field changed.',
  field: 'Field',
  before: 'Before',
  after: 'After',
  unset: 'not set',
});
