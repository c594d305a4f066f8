// Lets clients of Ollama's chat API talk to any model behind a Tollgate gateway: an adapter in the role of a client's. It keeps
// nothing between requests, so any number of it may run.
import { serve } from "./server.js";

const server = await serve(process.env["HOST"] ?? "127.0.0.1", Number(process.env["PORT"] ?? 7071), process.env["ADAPTER_TOKEN"]);
console.log(`the adapter is serving at ${server.url}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void server.stop().then(() => process.exit(0)));
}
