import type { BrowserContext } from '@playwright/test';

// An answer of 4xx is no mistake of the console's: that is how the API says no. Chromium writes a line for each all the same.
const refused = /^Failed to load resource: the server responded with a status of 4\d\d/;

/** Collects what a browser finds wrong with the console. */
export class Watch {
  readonly problems: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** Says that something will go wrong on purpose, such as calls while the control plane is down. */
  allow(...patterns: RegExp[]) {
    this.allowed.push(...patterns);
  }

  /** What was found so far, for a test that makes something go wrong to see it found. */
  take(): string[] {
    return this.problems.splice(0);
  }

  private add(text: string) {
    if (!this.allowed.some((pattern) => pattern.test(text))) this.problems.push(text);
  }

  async over(context: BrowserContext, origin: string) {
    context.on('console', (message) => {
      if (message.type() === 'error' && !refused.test(message.text())) this.add(`console: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => this.add(`page: ${error.error().stack ?? error.error().message}`));
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith('http') && url.origin !== new URL(origin).origin) this.add(`a request to another server: ${request.url()}`);
    });
    // Chromium writes a line for most of these, and not for all.
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (e) =>
        console.error(`policy: ${e.violatedDirective} forbids ${e.blockedURI || 'inline'} at ${e.sourceFile}:${e.lineNumber} ${e.sample}`),
      );
    });
  }
}
