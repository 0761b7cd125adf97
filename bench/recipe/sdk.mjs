// The recipe by hand with the official TypeScript SDK: sdk.mjs BASE_URL FOLDER OUTPUT
// It uploads and fetches eight at a time. It cannot be interrupted and resumed, and stops at the first failure.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { LlamaCloud, pool } from "../sdk.mjs";

const [, , baseURL, folder, output] = process.argv;
const client = new LlamaCloud({ apiKey: "llx-bench", baseURL });
const config = { job: { type: "parse_v2", configuration_id: "cfg-PARSE_AGENTIC" } };
const names = (await readdir(folder)).sort();
const batches = [];
const nameOf = new Map();

for (let first = 0; first < names.length; first += 1000) {
  const directory = await client.beta.directories.create({ name: `bench-${first}`, type: "ephemeral" });
  await pool(names.slice(first, first + 1000), 8, async (name) => {
    const upload_file = new File([await readFile(`${folder}/${name}`)], name, { type: "text/plain" });
    const file = await client.beta.directories.files.upload(directory.id, { upload_file, unique_id: name });
    nameOf.set(file.id, name);
  });
  batches.push(await client.batches.create({ source_directory_id: directory.id, config }));
}

for (let { id, status, results } of batches) {
  while (!["COMPLETED", "FAILED", "CANCELLED"].includes(status)) {
    await sleep(500);
    ({ status } = await client.batches.get(id));
  }
  if (status !== "COMPLETED") throw new Error(`batch ${id} is ${status}`);
  ({ results } = await client.batches.get(id, { expand: ["results"] }));
  await pool(results, 8, async (result) => {
    if (!result.job_reference) throw new Error(result.error_message);
    let job;
    do {
      if (job) await sleep(500);
      job = await client.parsing.get(result.job_reference.id, { expand: ["markdown_full"] });
    } while (["PENDING", "RUNNING", "THROTTLED"].includes(job.job.status));
    if (job.job.status !== "COMPLETED") throw new Error(job.job.error_message);
    await writeFile(`${output}/${nameOf.get(result.source_directory_file_id)}.md`, job.markdown_full);
  });
}
