// What every test of the console stands on: a deployment of its own, an owner who is signed in, and a browser that is watched.
import { type BrowserContextOptions, expect, test as base } from '@playwright/test';
import { Person } from './person.ts';
import { Stack, type StackOptions } from './stack.ts';
import { Watch } from './watch.ts';

export { answerOf, type Frames, framesOf, heapOf, told } from './frames.ts';
export { type Call, Load } from './load.ts';
export { axe, scheme, settled, shot } from './look.ts';
export { Person, type Stack };
export { expect };

type StorageState = Exclude<BrowserContextOptions['storageState'], string | undefined>;

interface PerTest {
  watch: Watch;
  person: Person;
  /** Whether the person has a keyboard and nothing else. */
  keyboardOnly: boolean;
  /** Whether the browser is the owner's. Tests of signing in say no. */
  signedIn: boolean;
}

interface PerWorker {
  /** Set it in every file, with a name of its own: test.use({ deployment: { name: 'keys', args: ['--demo'] } }). */
  deployment: StackOptions;
  stack: Stack;
  session: () => Promise<StorageState>;
}

export const test = base.extend<PerTest, PerWorker>({
  deployment: [{ name: 'default' }, { option: true, scope: 'worker' }],
  stack: [
    async ({ deployment }, use) => {
      const stack = await Stack.start(deployment);
      await use(stack);
      await stack.remove();
    },
    { scope: 'worker', timeout: 180_000 },
  ],
  // There is one link to set a password with, so it is used when somebody first asks for it, and not where a test has done that.
  session: [
    async ({ stack, playwright }, use) => {
      const request = await playwright.request.newContext({ baseURL: stack.url });
      const signIn = async () => {
        const { name, email, password } = stack.owner;
        const account = '/tollgate.control.v1.AccountService';
        let answer = await request.post(`${account}/SignIn`, { data: { email, password } });
        if (!answer.ok()) answer = await request.post(`${account}/RedeemLink`, { data: { token: await stack.ownerToken(), name, email, password } });
        expect(answer.ok(), await answer.text()).toBe(true);
        const state = await request.storageState();
        for (const cookie of state.cookies) stack.secret(cookie.value);
        return state;
      };
      let state: ReturnType<typeof signIn> | undefined;
      await use(() => (state ??= signIn()));
      await request.dispose();
    },
    { scope: 'worker', timeout: 60_000 },
  ],
  signedIn: [true, { option: true }],
  keyboardOnly: [false, { option: true }],
  baseURL: async ({ stack }, use) => use(stack.url),
  storageState: async ({ signedIn, session }, use) => use(signedIn ? await session() : { cookies: [], origins: [] }),
  context: async ({ context, stack, watch }, use) => {
    await watch.over(context, stack.url);
    await use(context);
  },
  watch: async ({}, use) => {
    const watch = new Watch();
    await use(watch);
    expect(watch.problems, 'what the browser found wrong').toEqual([]);
  },
  person: async ({ page, keyboardOnly }, use) => use(new Person(page, keyboardOnly)),
});
