import { timingSafeEqual, createHash } from "node:crypto";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { routes } from "./service.js";

export interface Server {
  url: string;
  /** Lets what goes on end, then stops. */
  stop(): Promise<void>;
}

/** Serves the adapter over HTTP/2 without TLS, to gateways that present the token; to anyone if there is none. */
export function serve(host: string, port: number, token = ""): Promise<Server> {
  const handler = connectNodeAdapter({ routes: routes(), readMaxBytes: 16 << 20 });
  const expected = digest(`Bearer ${token}`);
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer((request, response) => {
    if (token !== "" && !timingSafeEqual(digest(request.headers.authorization ?? ""), expected)) {
      response.writeHead(401).end("the adapter's token is missing or wrong\n");
      return;
    }
    handler(request, response);
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      const { port: bound } = server.address() as AddressInfo;
      const stop = () =>
        new Promise<void>((stopped) => {
          server.close(() => stopped());
          for (const session of sessions) session.close();
        });
      resolve({ url: `http://${host}:${bound}`, stop });
    });
  });
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
