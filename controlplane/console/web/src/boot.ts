// What the server wrote into the page, so that the first paint needs no answer from it.

export interface Boot {
  version: string;
  /** Name of the deployment; empty for none. */
  name: string;
  /** Address under which callers reach the edges; empty if it is not known. */
  gatewayUrl: string;
  /** Whether no owner has signed up yet. */
  needsSetup: boolean;
  signIn: { password: boolean; oidc?: { name: string; url: string } };
}

const none: Boot = { version: 'dev', name: '', gatewayUrl: '', needsSetup: false, signIn: { password: true } };

function read(): Boot {
  const text = document.getElementById('boot')?.textContent;
  return text ? { ...none, ...(JSON.parse(text) as Partial<Boot>) } : none;
}

export const boot = read();

/** Where the console is served, ending in a slash: "/", or a path behind a proxy. */
export const basePath = new URL(document.baseURI).pathname.replace(/[^/]*$/, '');

/** The nonce that lets the style sheets of components in. */
export const styleNonce = () => document.querySelector<HTMLElement>('script[nonce], style[nonce], meta[property="csp-nonce"]')?.nonce ?? '';
