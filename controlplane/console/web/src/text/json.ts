import { catalogue } from '@/lib/text';

/** Words of trees of JSON. */
export const t = catalogue({
  document: 'Document',
  pick: 'Count {path}, which is {value} here',
  pickLength: { one: 'Count the items of {path}, which has {n} here', other: 'Count the items of {path}, which has {n} here' },
  fold: 'Close {path}',
  unfold: 'Open {path}',
  items: { one: '{n} item', other: '{n} items' },
  fields: { one: '{n} field', other: '{n} fields' },
  more: { one: 'Show {n} more', other: 'Show {n} more' },
});
