// Detections out of Microsoft Defender, through Watchbell's component, in Node.
//
// One file over jco (`npm install @bytecodealliance/jco-transpile
// @bytecodealliance/preview2-shim`): it checks the settings, fills the defaults of the
// contract's config, turns an answer into objects and an error into an exception. The
// component reaches the network through jco's own wasi:http; there is no policy between
// them, so give it endpoints that you trust.

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
    return call(() => this.#source.authenticate(config(settings, [])));
  }

  /**
   * The detections as objects, in the service's order.
   *
   * Needs `endpoint`, and either `tenantId`, `clientId` and `clientSecret` or an
   * `accessToken`. `SETTINGS` lists every setting with its type. A setting that is null or
   * undefined counts as not given. Throws a TypeError for a setting that is unknown,
   * missing or of the wrong type, a RangeError for a number out of range, and a
   * WatchbellError for everything that the component or the service refuses.
   */
  poll(settings) {
    return this.pollAlerts(settings).map((alert) => JSON.parse(alert.json));
  }

  /** The contract's alerts: the envelope, and the text that the service sent. */
  pollAlerts(settings) {
    return call(() => this.#source.poll(config(settings, ["endpoint"])));
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

const [TEXT, TEXTS, PAIRS] = ["a string", "an array of strings", "an array of [name, value] pairs of strings"];

/** Every setting and its type; of a number the largest value. */
export const SETTINGS = {
  endpoint: TEXT,
  authority: TEXT,
  tenantId: TEXT,
  clientId: TEXT,
  clientSecret: TEXT,
  accessToken: TEXT,
  api: TEXT,
  since: TEXT,
  until: TEXT,
  ago: TEXT,
  limit: 2n ** 32n - 1n,
  machineGroups: TEXTS,
  deviceCreatedMachineTags: TEXT,
  cloudCreatedMachineTags: TEXT,
  maxBytes: 2n ** 64n - 1n,
  maxPages: 2n ** 32n - 1n,
  options: PAIRS,
};

/** The contract's config; `needs` are the settings that this call cannot do without. */
function config(settings, needs) {
  if (kind(settings) !== "an object") throw new TypeError(`settings must be an object, not ${kind(settings)}`);
  const given = {};
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(SETTINGS, name)) throw new TypeError(`unknown setting ${name}; ${remedy(name)}`);
    if (value !== undefined && value !== null) given[name] = checked(name, value);
  }
  const wanted = "accessToken" in given ? needs : [...needs, "tenantId", "clientId", "clientSecret"];
  const missing = wanted.filter((name) => !(name in given));
  if (missing.length > 0) {
    const instead =
      String(missing) === "endpoint" ? "" : ", or give an accessToken instead of an application's credentials";
    throw new TypeError(`missing ${missing.join(", ")}; set ${missing.length === 1 ? "it" : "them"}${instead}`);
  }
  const { tenantId, clientId, clientSecret, accessToken, since, until, ago, limit } = given;
  const { deviceCreatedMachineTags, cloudCreatedMachineTags, machineGroups = [] } = given;
  return {
    endpoint: given.endpoint ?? "",
    authority: given.authority ?? "https://login.microsoftonline.com",
    api: given.api ?? "siem",
    query: { since, until, ago, limit, machineGroups, deviceCreatedMachineTags, cloudCreatedMachineTags },
    limits: { maxBytes: BigInt(given.maxBytes ?? 64 * 1024 * 1024), maxPages: given.maxPages ?? 1000 },
    credentials:
      "accessToken" in given
        ? { tag: "access-token", val: accessToken }
        : { tag: "client-secret", val: { tenantId, clientId, secret: clientSecret } },
    options: given.options ?? [],
  };
}

/** The value as jco wants it. No message repeats a value that may be a secret. */
function checked(name, value) {
  const wanted = SETTINGS[name];
  if (typeof wanted === "bigint") {
    if (typeof value !== "bigint" && !Number.isInteger(value)) {
      throw new TypeError(`${name} must be a whole number, not ${typeof value === "number" ? value : kind(value)}`);
    }
    if (value < 0 || value > wanted) throw new RangeError(`${name} must be from 0 to ${wanted}, not ${value}`);
    return name === "maxBytes" ? value : Number(value);
  }
  if (wanted === TEXT) {
    if (typeof value !== "string") {
      const hint = name === "since" || name === "until" ? '; write an instant as "2026-05-01T00:00:00Z"' : "";
      throw new TypeError(`${name} must be ${TEXT}, not ${kind(value)}${hint}`);
    }
    if (name === "api" && value !== "siem" && value !== "graph") {
      throw new RangeError(`api must be "siem" or "graph", not ${JSON.stringify(value)}`);
    }
    return value;
  }
  if (typeof value === "string" && wanted === TEXTS) {
    throw new TypeError(`${name} must be ${wanted}, not a string; write [${JSON.stringify(value)}]`);
  }
  if (!Array.isArray(value)) throw new TypeError(`${name} must be ${wanted}, not ${kind(value)}`);
  const isPair = (item) => Array.isArray(item) && item.length === 2 && item.every((text) => typeof text === "string");
  const wrong = value.find((item) => (wanted === TEXTS ? typeof item !== "string" : !isPair(item)));
  if (wrong !== undefined || value.includes(undefined)) {
    throw new TypeError(`${name} must be ${wanted}; one of its items is ${kind(wrong)}`);
  }
  return value;
}

/** What a value is, for a message. */
function kind(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") {
    const name = value.constructor?.name ?? "Object";
    return name === "Object" ? "an object" : `a ${name}`;
  }
  return `a ${typeof value}`;
}

/** What to write instead of a setting that is none. */
function remedy(name) {
  const plain = (text) => text.replaceAll(/[^A-Za-z]/g, "").toLowerCase();
  const distance = (known) => (plain(known).includes(plain(name)) && plain(name).length > 2 ? 1 : edits(plain(name), plain(known)));
  const [near] = Object.keys(SETTINGS).toSorted((a, b) => distance(a) - distance(b));
  return distance(near) <= Math.max(2, near.length / 3)
    ? `did you mean ${near}?`
    : `the settings are ${Object.keys(SETTINGS).join(", ")}`;
}

/** How many letters must be put in, taken out or changed to get from one text to the other. */
function edits(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[other.length];
}
