// 10,000 detections through the helper beside plain Node doing the same.

import { load } from "../../examples/node/watchbell.mjs";
import { component, simulate } from "./simulator.mjs";

const PAIRS = 11;
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const source = await load(component);
const simulator = await simulate("--start", "2026-01-01T00:00:00Z", "--total", "10000");
const accessToken = await simulator.token();
const since = "2026-01-01T00:00:00Z";
const works = [
  () => source.poll({ endpoint: simulator.settings.endpoint, accessToken, since }),
  () => simulator.detections(accessToken, { sinceTimeUtc: since }),
];
const times = [];
for (let pair = 0; pair <= PAIRS; pair += 1) {
  const taken = [];
  for (const work of works) {
    const began = performance.now();
    if ((await work()).length < 9000) throw new Error("too few detections");
    taken.push(performance.now() - began);
  }
  if (pair > 0) times.push(taken);
}
simulator.stop();
const ratios = times.map(([ours, plain]) => ours / plain);
const [ours, plain] = [0, 1].map((side) => median(times.map((pair) => pair[side])).toFixed(0));
console.log(
  `node: 10,000 detections, ${PAIRS} pairs: helper ${ours} ms, plain ${plain} ms,` +
    ` ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
);
