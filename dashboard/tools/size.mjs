// Fails where the page's script, charts aside, is past its limit. Every chunk counts, not only the first page's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { output } from "./output.mjs";

const LIMIT = 200_000;
const CHARTS = /^src\/components\/charts\/drawn\//;

const manifest = JSON.parse(readFileSync(join(output, "manifest.json"), "utf8"));
const chunks = Object.entries(manifest).filter(([, { file }]) => file.endsWith(".js"));

/** Chunks that a page reaches without asking for a chart. */
function reachable(keys, seen = new Set()) {
  for (const key of keys) {
    if (seen.has(key) || CHARTS.test(key)) continue;
    seen.add(key);
    const { imports = [], dynamicImports = [] } = manifest[key];
    reachable([...imports, ...dynamicImports], seen);
  }
  return seen;
}

const gzipped = (file) => gzipSync(readFileSync(join(output, file)), { level: 9 }).length;
const entries = chunks.filter(([, chunk]) => chunk.isEntry).map(([key]) => key);
const pages = reachable(entries);
const first = reachable(entries.flatMap((key) => [key, ...(manifest[key].imports ?? [])]), new Set(chunks.map(([key]) => key).filter((key) => manifest[key].isDynamicEntry)));
const sum = (keys) => keys.reduce((total, key) => total + gzipped(manifest[key].file), 0);

const everything = chunks.map(([key]) => key);
const before = sum([...pages]);
const charts = sum(everything.filter((key) => !pages.has(key)));
const shell = sum([...first].filter((key) => !manifest[key].isDynamicEntry));
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

console.log(`Script, gzipped: ${kB(shell)} the shell, ${kB(before)} with all pages (limit ${kB(LIMIT)}), charts ${kB(charts)} more.`);
if (entries.length === 0 || before > LIMIT) {
  console.error("The page's script is past its limit: load less at once.");
  process.exit(1);
}
