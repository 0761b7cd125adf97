// Sends a file with the official TypeScript SDK: sdk.mjs URL FILE; BENCH_SDK is where npm installed it.
import { createReadStream, statSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const resolve = createRequire(`${process.env.BENCH_SDK}/package.json`).resolve;
const { default: LlamaCloud } = await import(pathToFileURL(resolve("@llamaindex/llama-cloud")).href);

const [, , baseURL, path] = process.argv;
const client = new LlamaCloud({ apiKey: "key", baseURL: baseURL.replace(/\/$/, ""), maxRetries: 0 });
const answer = await client.beta.directories.files.upload("dir-1", { upload_file: createReadStream(path) });
const size = statSync(path).size;
if (!(answer.received > size)) throw new Error("the file is not there");
console.log(size);
