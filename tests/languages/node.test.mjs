// The same component from Node: every object as the simulator serves it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { load } from "../../examples/node/watchbell.mjs";
import { component, simulate } from "./simulator.mjs";

const range = { since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" };
let source, simulator;

before(async () => {
  source = await load(component);
  simulator = await simulate("--start", "2026-01-01T00:00:00Z", "--rate", "1");
});
after(() => simulator.stop());

test("every object is as the simulator served it", async () => {
  const got = source.poll({ ...simulator.settings, ...range });
  const bounds = { sinceTimeUtc: range.since, untilTimeUtc: range.until };
  const want = await simulator.detections(await simulator.token(), bounds);
  assert.ok(want.length > 1000);
  assert.deepEqual(got, want);
});

test("the envelope is that of the object", () => {
  for (const alert of source.pollAlerts({ ...simulator.settings, ...range, limit: 20 })) {
    assert.ok(alert.json.includes(alert.id));
    assert.equal(typeof alert.lastProcessedTime, "bigint");
  }
});

test("a token serves a poll", () => {
  const token = source.authenticate(simulator.settings);
  assert.equal(token.expiresIn, 3599n);
  const { endpoint } = simulator.settings;
  assert.equal(source.poll({ endpoint, accessToken: token.value, ...range, limit: 3 }).length, 3);
});

test("an error of the contract is an exception with its case", () => {
  const wrong = { ...simulator.settings, clientSecret: "wrong" };
  assert.throws(() => source.poll(wrong), (error) => error.case === "unauthorized" && error.detail.status === 401);
  const ago = { ...simulator.settings, ago: "yesterday" };
  assert.throws(() => source.poll(ago), (error) => error.case === "invalid-config" && error.detail.field === "query.ago");
});
