// Runs `watchbell simulate` for a test, and asks it the plain way.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);
export const component = fileURLToPath(new URL("target/components/defender.wasm", root));

/** A simulator of its own process, with its settings for a source. */
export async function simulate(...flags) {
  const program = fileURLToPath(new URL("target/release/watchbell", root));
  const process = spawn(program, ["simulate", ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await createInterface(process.stdout)[Symbol.asyncIterator]().next();
  const about = JSON.parse(value);
  const settings = {
    endpoint: about.endpoint,
    authority: about.authority,
    tenantId: about.tenant_id,
    clientId: about.client_id,
    clientSecret: about.client_secret,
  };
  return {
    settings,
    stop: () => process.kill(),
    async token() {
      const form = new URLSearchParams({
        grant_type: "client_credentials",
        client_id: about.client_id,
        client_secret: about.client_secret,
        resource: "https://graph.windows.net",
      });
      const url = `${about.authority}/${about.tenant_id}/oauth2/token`;
      return (await (await fetch(url, { method: "POST", body: form })).json()).access_token;
    },
    async detections(token, query) {
      const url = `${about.endpoint}/api/alerts?${new URLSearchParams(query)}`;
      return (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).json();
    },
  };
}
