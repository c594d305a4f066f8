// What a person likes, kept in their browser.

import { kept } from '@/api/store';
import type { Zone } from '@/lib/time';

/** In which zone times are shown. An address may say so too: `?tz=utc`. */
export const zone = kept<Zone>('zone', new URLSearchParams(location.search).get('tz') === 'utc' ? 'utc' : 'local', (t) => (t === 'utc' || t === 'local' ? t : undefined));
/** How much space rows take. */
export const density = kept<'comfortable' | 'compact'>('density', 'comfortable', (t) => (t === 'compact' ? 'compact' : 'comfortable'));
/** Whether single keys are shortcuts (WCAG 2.1.4). */
export const singleKeys = kept<boolean>('keys', true);
/** Whether live lists are read out. */
export const announce = kept<boolean>('announce', false);
