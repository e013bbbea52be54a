// llama.cpp through node-llama-cpp, the base model alone: `node peer_llama_cpp.mjs FOLDER BASE.gguf THREADS`,
// where FOLDER has node_modules/node-llama-cpp. Prefill of 64 tokens and decoding after it, as one JSON line.
//
// node-llama-cpp ships a build of llama.cpp for each generation of processors and loads the best one;
// `system` says which instructions that one uses.

import path from "node:path";
import { pathToFileURL } from "node:url";

const LENGTH = 64, DECODE = 16, RUNS = 7;
const [folder, modelPath, count] = process.argv.slice(2);
const library = path.resolve(folder, "node_modules/node-llama-cpp/dist/index.js");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(library));

const threads = Number(count);
const llama = await getLlama({
    gpu: false, build: "never", skipDownload: true, maxThreads: threads, logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 256, batchSize: LENGTH, threads });
const sequence = context.getSequence();
const ids = Array.from({ length: LENGTH }, (_, at) => 100 + (at * 7919) % 40_000);

const median = (values) => {
    const sorted = values.slice(1).sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
};
const prefill = [], decode = [];
for (let run = 0; run <= RUNS; run++) {
    await sequence.clearHistory();
    const ticks = [performance.now()];
    for await (const _ of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
        ticks.push(performance.now());
        if (ticks.length > DECODE) break;
    }
    if (ticks.length <= DECODE) throw new Error("the model ended early");
    prefill.push(ticks[1] - ticks[0]);
    decode.push((ticks.at(-1) - ticks[1]) / (DECODE - 1));
}
const system = llama.systemInfo.trim();
console.log(JSON.stringify({ prefill_ms: median(prefill), decode_ms: median(decode), system }));
await llama.dispose();
