import { catalogue } from '@/lib/text';

/** Words of the review of two changes to one object. */
export const t = catalogue({
  title: 'Somebody else changed it meanwhile',
  field: 'Field',
  base: 'Before',
  theirs: 'Theirs',
  mine: 'Yours',
  take: 'Save',
  takeOf: 'Which {field} is saved',
  takeTheirs: 'Take theirs',
  keepMine: 'Keep mine',
  onlyTheirs: 'Theirs: you left it',
  onlyMine: 'Yours: they left it',
  open: { one: '1 field to decide', other: '{n} fields to decide' },
  goBack: 'Go back',
  save: 'Save merged',
  nothing: 'nothing',
  changedBy: '{who} changed {fields} {when}.',
  changed: 'It changed since you opened it.',
});
