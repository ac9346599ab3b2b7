// The packages that scripts/install-sdks put outside the checkout, and how they get through a proxy.

import { createRequire } from "node:module";
import { join } from "node:path";

export const need = createRequire(join(process.env.POINTSMAN_SDKS, "package.json"));

const { EnvHttpProxyAgent, setGlobalDispatcher } = need("undici");
// Node before 22.21 ignores HTTPS_PROXY on its own.
setGlobalDispatcher(new EnvHttpProxyAgent());

export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==";

const { z } = need("zod");
export const Train = z.object({ platform: z.number(), city: z.string() });

export function sameTrain(parsed) {
  if (parsed?.platform !== 9 || parsed?.city !== "Oslo") {
    throw new Error(`not what was answered: ${JSON.stringify(parsed)}`);
  }
}

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

// The JSON of what an SDK made: its own properties, not what getters make of them.
export const plain = (value) => JSON.parse(JSON.stringify(value));

export async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}
