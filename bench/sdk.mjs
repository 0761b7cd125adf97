// What the programs with the official TypeScript SDK share. BENCH_SDK is where npm installed it.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const resolve = createRequire(`${process.env.BENCH_SDK}/package.json`).resolve;
export const { default: LlamaCloud } = await import(pathToFileURL(resolve("@llamaindex/llama-cloud")).href);

// Calls work for each item of an iterable, so many at once.
export async function pool(items, atOnce, work) {
  const iterator = items[Symbol.iterator]();
  async function worker() {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value);
  }
  await Promise.all(Array.from({ length: atOnce }, worker));
}
