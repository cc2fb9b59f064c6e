// Detections out of Microsoft Defender, through Watchbell's component, in Node.
//
// One file over jco (`npm install @bytecodealliance/jco-transpile
// @bytecodealliance/preview2-shim`): it fills the defaults of the contract's config,
// turns an answer into objects and an error into an exception. The component reaches
// the network through jco's own wasi:http; there is no policy between them, so give it
// endpoints that you trust.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { transpileBytes } from "@bytecodealliance/jco-transpile";

/** Why a call gave no result: `case` of the contract's error, and its `detail`. */
export class WatchbellError extends Error {
  constructor({ tag, val }) {
    super(`${tag}: ${JSON.stringify(val, (_, value) => (typeof value === "bigint" ? String(value) : value))}`);
    this.case = tag;
    this.detail = val;
  }
}

/** Loads a component. The JavaScript that jco makes of it is kept below node_modules. */
export async function load(path) {
  const component = await readFile(path);
  const digest = createHash("sha256").update(component).digest("hex").slice(0, 32);
  const here = dirname(fileURLToPath(import.meta.url));
  const folder = join(here, "node_modules", ".cache", "watchbell", digest);
  const module = pathToFileURL(join(folder, "defender.js"));
  const { source } = await import(module).catch(async () => {
    const { files } = await transpileBytes(component, { name: "defender", noTypescript: true });
    for (const [name, bytes] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), bytes);
    }
    return import(`${module}?made`);
  });
  return new Source(source);
}

class Source {
  #source;

  constructor(source) {
    this.#source = source;
  }

  /** An access token. Settings as for `poll`. */
  authenticate(settings) {
    return call(() => this.#source.authenticate(config(settings)));
  }

  /**
   * The detections as objects, in the service's order. Settings: endpoint, authority,
   * tenantId, clientId and clientSecret, or accessToken in place of the last three;
   * since, until, ago, limit, machineGroups, deviceCreatedMachineTags,
   * cloudCreatedMachineTags; maxBytes.
   */
  poll(settings) {
    return this.pollAlerts(settings).map((alert) => JSON.parse(alert.json));
  }

  /** The contract's alerts: the envelope, and the text that the service sent. */
  pollAlerts(settings) {
    return call(() => this.#source.poll(config(settings)));
  }
}

function call(work) {
  try {
    return work();
  } catch (error) {
    // jco throws the contract's error as it is: a case and what it holds.
    throw typeof error?.tag === "string" ? new WatchbellError(error) : error;
  }
}

function config({
  endpoint = "",
  authority = "https://login.microsoftonline.com",
  tenantId = "",
  clientId = "",
  clientSecret = "",
  accessToken,
  api = "siem",
  maxBytes = 64 * 1024 * 1024,
  maxPages = 1000,
  machineGroups = [],
  options = [],
  ...query
}) {
  const secret = { tenantId, clientId, secret: clientSecret };
  return {
    endpoint,
    authority,
    api,
    query: { machineGroups, ...query },
    limits: { maxBytes: BigInt(maxBytes), maxPages },
    credentials: accessToken ? { tag: "access-token", val: accessToken } : { tag: "client-secret", val: secret },
    options,
  };
}
