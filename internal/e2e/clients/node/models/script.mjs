// What the vendor of these tests says, and what is asked of it, whatever library asks.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { given } from '../through.mjs';

export const question = 'What is the weather like? Grüße, 世界 🐦 \u2028 <&> "x" \\';
export const system = 'Be brief.\nAnd "kind".';

const begun = 'Grüße, 世界 🐦 – ';
/** The texts of the model that answers with a text, of one that stops early, and of one that thinks before. */
export const said = `${begun}"quoted" <&> \\ a line\nand \u2028 another.`;
export const cut = begun;
export const thought = 'Hm… 🤔 let me think.';

/** What a model is called by the gateway. */
export const name = (route, model) => `${route.name}/${model}`;

/** Pictures: a red dot and a blue one. */
export const red = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
export const blue = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg==';
export const address = 'https://example.com/a%20b.png?x=1&y=2';

/** seen is how the vendor names a picture that it was shown. */
export const seen = (data) => `image/png ${createHash('sha256').update(Buffer.from(data, 'base64')).digest('hex')}`;

// The name is longer than OpenAI's names may be, and has a dot.
export const forecast = {
  name: 'forecast',
  description: 'The weather of some days.',
  schema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'number' } }, required: ['city', 'days'], additionalProperties: false },
};
export const convert = {
  name: 'convert',
  description: 'Converts temperatures.',
  schema: {
    type: 'object',
    properties: { from: { type: 'object', properties: { unit: { type: 'string' }, values: { type: 'array', items: { type: 'number' } } } }, to: { enum: ['F', 'K'] } },
    required: ['from', 'to'],
  },
};

/** Calls of tools that the vendor makes, in the order in which it makes them. */
export const calls = [
  ['forecast', { city: 'Paris', days: 1.5 }],
  ['forecast', { city: 'Oslo 🐦 "x"', days: 3 }],
  ['convert', { from: { unit: 'C', values: [21, -3] }, to: 'F' }],
];

/** run is a tool: what it gives, or an error. */
export function run(tool, input) {
  if (tool === 'convert') return input.from.values.map((v) => v * 1.8 + 32).join(' ');
  if (input.city !== 'Paris') throw new Error('no such city');
  return '21 °C "fair"';
}

/** The schema of an answer that is an object, and the object that the vendor answers with. */
export const shape = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'array', items: { type: 'number' } } },
  required: ['city', 'days'],
  additionalProperties: false,
};
export const shaped = { city: 'Oslo 🐦', days: [1, 2.5, -3] };

/** failure is the error that a call ends with. */
export async function failure(call) {
  try {
    await call();
  } catch (e) {
    return e;
  }
  return assert.fail('it went well');
}

/** listed is the model of a route that its lists show, and an alias of it. */
export const listed = (route) => [`${route.name}-listed`, `${route.name}-listed-too`];

export { given };
