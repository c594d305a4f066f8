import { catalogue } from '@/lib/text';

/** Words of what all parts of the settings share. */
export const t = catalogue({
  sections: 'Parts of the settings',
  general: 'General',
  partOf: '{part} · Settings',
  access: 'People',
  tokens: 'Tokens',
  import: 'Import and export',
  alerts: 'Alerts',
  retention: 'Retention and privacy',
  about: 'About',
  offline: "The control plane can't be reached.",
  readOnly: 'You may see this and not change it.',
});
