import http from 'node:http';
import { performance } from 'node:perf_hooks';

/** One request to a gateway. */
export interface Call {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Sends requests at an even rate until it is stopped. What is due is sent, however late the timer is. */
export class Load {
  sent = 0;
  failed = 0;
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  private readonly open = new Set<Promise<void>>();
  private readonly timer: ReturnType<typeof setInterval>;

  private constructor(
    private readonly next: (n: number) => Call,
    perSecond: number,
    private readonly most: number,
  ) {
    const began = performance.now();
    this.timer = setInterval(() => {
      const due = Math.min(Math.floor(((performance.now() - began) / 1000) * perSecond), most);
      while (this.sent < due) this.one();
    }, 5);
  }

  /** Begins; it ends by itself after `most` requests. */
  static start(next: (n: number) => Call, perSecond: number, most = Infinity): Load {
    return new Load(next, perSecond, most);
  }

  get done(): boolean {
    return this.sent >= this.most && this.open.size === 0;
  }

  private one() {
    const { url, body, ...options } = this.next(this.sent++);
    const answered = new Promise<void>((resolve) => {
      const request = http.request(url, { agent: this.agent, method: 'GET', ...options }, (res) => res.resume().on('close', resolve));
      request.on('error', () => {
        this.failed++;
        resolve();
      });
      request.end(body);
    }).finally(() => this.open.delete(answered));
    this.open.add(answered);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.open);
    this.agent.destroy();
  }
}
