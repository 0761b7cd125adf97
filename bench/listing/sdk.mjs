// The same as ours.lua with the official TypeScript SDK: sdk.mjs URL [SECONDS]
import { LlamaCloud } from "../sdk.mjs";

const [, , baseURL, work] = process.argv;
const milliseconds = work ? 1000 * Number(work) : 0;
const client = new LlamaCloud({ apiKey: "key", baseURL });
let count = 0;
let ids = 0;
for await (const batch of client.batches.list({ page_size: 100 })) {
  count += 1;
  ids += batch.id.length;
  if (milliseconds) {
    const done = performance.now() + milliseconds;
    while (performance.now() < done);
  }
}
if (ids !== 40 * count) throw new Error("the batches are not what they should be");
console.log(count);
