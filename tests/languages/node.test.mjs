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

/** `work` throws an error of this class whose message has these words, before anything is asked. */
function refused(work, type, words) {
  assert.throws(work, (error) => {
    assert.equal(error.constructor, type);
    assert.ok(error.message.includes(words), error.message);
    return true;
  });
}

test("a setting that does not exist is named with the nearest that does", () => {
  for (const [unknown, meant] of [
    ["machineGroup", "machineGroups"],
    ["tenant_id", "tenantId"],
    ["client-secret", "clientSecret"],
    ["secret", "clientSecret"],
    ["sinse", "since"],
  ]) {
    const given = { ...simulator.settings, [unknown]: "x" };
    refused(() => source.poll(given), TypeError, `unknown setting ${unknown}; did you mean ${meant}?`);
    refused(() => source.authenticate(given), TypeError, `did you mean ${meant}?`);
  }
  refused(() => source.poll({ region: "eu" }), TypeError, "unknown setting region; the settings are endpoint, authority");
});

test("a missing setting is named", () => {
  const all = "missing endpoint, tenantId, clientId, clientSecret; set them, or give an accessToken";
  refused(() => source.poll({}), TypeError, all);
  refused(() => source.poll(), TypeError, "settings must be an object, not undefined");
  refused(() => source.poll({ accessToken: "token" }), TypeError, "missing endpoint; set it");
  const unset = { ...simulator.settings, clientSecret: process.env.A_VARIABLE_THAT_NOBODY_SETS };
  refused(() => source.poll(unset), TypeError, "missing clientSecret; set it");
  refused(() => source.authenticate(unset), TypeError, "missing clientSecret; set it");
});

test("a setting of the wrong type is named with the right one", () => {
  const known = (more) => () => source.poll({ ...simulator.settings, ...range, ...more });
  const groups = 'machineGroups must be an array of strings, not a string; write ["UKMachines"]';
  refused(known({ machineGroups: "UKMachines" }), TypeError, groups);
  refused(known({ machineGroups: ["UKMachines", 3] }), TypeError, "one of its items is a number");
  refused(known({ machineGroups: { a: 1 } }), TypeError, "machineGroups must be an array of strings, not an object");
  refused(known({ limit: "3" }), TypeError, "limit must be a whole number, not a string");
  refused(known({ limit: 1.5 }), TypeError, "limit must be a whole number, not 1.5");
  refused(known({ limit: -1 }), RangeError, "limit must be from 0 to 4294967295, not -1");
  refused(known({ maxBytes: 2n ** 64n }), RangeError, "maxBytes must be from 0");
  refused(known({ api: "rest" }), RangeError, "api must be");
  refused(known({ options: ["name"] }), TypeError, "options must be an array of [name, value] pairs");
  refused(known({ since: new Date(0) }), TypeError, 'since must be a string, not a Date; write an instant as "2026-');
  refused(known({ clientSecret: 7 }), TypeError, "clientSecret must be a string, not a number");
});

test("settings of the right types reach the service", async () => {
  const machineGroups = ["UKMachines"];
  const got = source.poll({ ...simulator.settings, ...range, machineGroups, limit: 100000, deviceCreatedMachineTags: null });
  const bounds = { sinceTimeUtc: range.since, untilTimeUtc: range.until, machinegroups: "UKMachines" };
  const want = await simulator.detections(await simulator.token(), bounds);
  assert.ok(want.length > 100);
  assert.deepEqual(got, want);
});
