import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../..');
const binary = join(root, 'bin/tollgate');

/** What a command came to. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** What a deployment is started with. Files with different names never share one. */
export interface StackOptions {
  name: string;
  edges?: number;
  /** Further arguments of `tollgate dev`, such as --demo or --sample-data. */
  args?: string[];
}

/** One `tollgate dev`, with a database and a folder of its own. */
export class Stack {
  readonly owner = { name: 'Ada Lovelace', email: 'ada.lovelace@example.com', password: `correct horse ${randomBytes(6).toString('hex')}` };
  readonly dir: string;
  url = '';
  gateways: string[] = [];
  /** The link of the banner, which makes the owner; empty once there is one. */
  setupLink = '';
  adminToken = '';

  private readonly secrets = new Set<string>();
  private process?: ChildProcess;
  private ended: Promise<void> = Promise.resolve();
  private starts = 0;

  private constructor(private readonly options: StackOptions) {
    this.dir = mkdtempSync(join(tmpdir(), `tollgate-${options.name}-`));
    chmodSync(this.dir, 0o755); // the database may run as somebody else, who has to pass
    this.secret(this.owner.password);
  }

  static async start(options: StackOptions): Promise<Stack> {
    if (!existsSync(binary)) throw new Error(`${binary} is not there: make build`);
    const stack = new Stack(options);
    try {
      await stack.start();
    } catch (err) {
      await stack.remove();
      throw err;
    }
    return stack;
  }

  /** Starts it, or starts it again where it was before. */
  async start(): Promise<void> {
    const port = (url: string | undefined) => (url ? new URL(url).port : '0');
    const log = join(this.dir, `dev-${++this.starts}.log`);
    const out = openSync(log, 'w');
    const args = ['dev', '--data', join(this.dir, 'data'), '--edges', String(this.options.edges ?? 4), '--port', port(this.gateways[0]), '--control-port', port(this.url || undefined)];
    const child = spawn(binary, [...args, ...(this.options.args ?? [])], { cwd: this.dir, env: this.environment(), stdio: ['ignore', out, out] });
    closeSync(out);
    this.process = child;
    let code: string | undefined;
    this.ended = new Promise((resolve) =>
      child.once('exit', (status, signal) => {
        code = String(status ?? signal);
        resolve();
      }),
    );
    const printed = () => readFileSync(log, 'utf8');
    for (const until = Date.now() + 120_000; !printed().includes('Stop with ^C'); ) {
      if (code !== undefined) throw new Error(`tollgate dev ended (${code}):\n${printed()}`);
      if (Date.now() > until) throw new Error(`tollgate dev is not ready after two minutes:\n${printed()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.read(printed().slice(printed().lastIndexOf('ready in')));
  }

  /** Takes from the banner what tests need. */
  private read(banner: string) {
    const lines = banner.split('\n');
    const row = (name: string) => lines.find((line) => line.startsWith(`  ${name} `))?.slice(name.length + 3).trim().split(/\s/)[0] ?? '';
    const first = lines.findIndex((line) => line.startsWith('  Gateway '));
    const last = lines.findIndex((line) => line.startsWith('  Control plane '));
    this.gateways = lines.slice(first, last).map((line) => line.slice(17).trim().split(/\s/)[0]!);
    this.url = row('Control plane');
    this.adminToken = this.secret(row('Admin token'));
    const link = row('Console');
    const token = /#token=(.+)$/.exec(link)?.[1];
    this.setupLink = token ? link : '';
    if (token) this.secret(token);
  }

  private environment(): NodeJS.ProcessEnv {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TOLLGATE_') && name !== 'DATABASE_URL'));
    return { ...env, TOLLGATE_CONFIG: join(this.dir, 'contexts.yaml') };
  }

  /** Ends it as ^C does, or at once, as a crash would. What it has stored stays. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.process?.kill(signal);
    const late = setTimeout(() => this.process?.kill('SIGKILL'), 60_000);
    await this.ended;
    clearTimeout(late);
    this.process = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Runs the command line as its administrator. */
  cli(...args: string[]): Promise<Ran> {
    const env = { ...this.environment(), TOLLGATE_SERVER: this.url, TOLLGATE_TOKEN: this.adminToken, TOLLGATE_GATEWAY: this.gateways[0] };
    return new Promise((resolve) => {
      execFile(binary, args, { cwd: this.dir, env, timeout: 60_000, maxBuffer: 64 << 20 }, (err, stdout, stderr) =>
        resolve({ code: err ? (typeof err.code === 'number' ? err.code : -1) : 0, stdout, stderr }),
      );
    });
  }

  /** Calls a method of the API as its administrator. */
  async call<T = Record<string, unknown>>(method: string, request: object = {}): Promise<T> {
    const res = await fetch(`${this.url}/tollgate.control.v1.${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${this.adminToken}` },
      body: JSON.stringify(request),
    });
    if (!res.ok) throw new Error(`${method}: ${res.status} ${await res.text()}`);
    return (await res.json()) as T;
  }

  /** A link by which the owner sets the password: that of the banner, or, where somebody is an owner already, an invitation. */
  async ownerToken(): Promise<string> {
    let link = this.setupLink;
    if (!link) {
      const made = await this.call<{ link: string }>('PersonService/CreatePerson', { person: { email: this.owner.email, name: this.owner.name, role: 'ROLE_OWNER' } });
      link = made.link;
    }
    return this.secret(new URL(link).hash.replace('#token=', ''));
  }

  /** Remembers something that may never be seen but where it is made. */
  secret(value: string): string {
    if (value) this.secrets.add(value);
    return value;
  }

  /** What a text holds that it must not: secrets that are known, and what looks like a credential. */
  leaks(text: string): string[] {
    const known = [...this.secrets].filter((one) => text.includes(one));
    const alike = text.match(/\btg[a-z]_[A-Za-z0-9_-]{20,}/g) ?? [];
    return [...new Set([...known, ...alike])];
  }
}
