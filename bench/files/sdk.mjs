// The same as ours.lua with the official TypeScript SDK: sdk.mjs up|down BASE_URL DIRECTORY COUNT SIZE AT_ONCE
import { createReadStream, createWriteStream, openAsBlob } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { LlamaCloud, pool } from "../sdk.mjs";

const [, , what, baseURL, directory] = process.argv;
const [count, size, atOnce] = process.argv.slice(5).map(Number);
const large = size > 1e6;

// A large file as a Blob is read piece by piece; as a stream, which the SDK's own page proposes, it would be in memory.
const source = {
  blob: async (path, name) => new File([await openAsBlob(path)], name, { type: "application/pdf" }),
  bytes: async (path, name) => new File([await readFile(path)], name, { type: "application/pdf" }),
  stream: async (path) => createReadStream(path),
}[process.env.BENCH_SOURCE ?? (large ? "blob" : "bytes")];

const client = new LlamaCloud({ apiKey: "k", baseURL, maxRetries: 0 });

const contenders = {
  async up(name) {
    const answer = await client.beta.directories.files.upload("dir-1", {
      display_name: name,
      unique_id: name,
      upload_file: await source(`${directory}/${name}`, name),
    });
    if (!(answer.received > size)) throw new Error("the file is not there");
  },

  // The SDK gives the address of a file and no more; what it leads to is fetched by hand.
  async down(name) {
    const answer = await fetch(`${baseURL}/${size}`);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    if (large) await pipeline(Readable.fromWeb(answer.body), createWriteStream(`${directory}/${name}`));
    else await writeFile(`${directory}/${name}`, Buffer.from(await answer.arrayBuffer()));
  },
};

const names = Array.from({ length: count }, (_, i) => `${i + 1}.pdf`);
await pool(names, atOnce, contenders[what]);
console.log(count);
