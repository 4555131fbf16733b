// Fails where the page's script, charts aside, is past its limit. Every page's chunks count, not only the first one's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { output } from "./output.mjs";

const LIMIT = 200_000;
const CHARTS = /^src\/components\/charts\/drawn\//;

const manifest = JSON.parse(readFileSync(join(output, "manifest.json"), "utf8"));
const scripts = Object.keys(manifest).filter((key) => manifest[key].file.endsWith(".js"));

/** Chunks that are loaded with one of these; with `lazily`, those that may be loaded later, too, but no drawings. */
function loaded(keys, lazily, seen = new Set()) {
  for (const key of keys) {
    if (seen.has(key) || CHARTS.test(key)) continue;
    seen.add(key);
    const { imports = [], dynamicImports = [] } = manifest[key];
    loaded(lazily ? [...imports, ...dynamicImports] : imports, lazily, seen);
  }
  return seen;
}

const gzipped = (key) => gzipSync(readFileSync(join(output, manifest[key].file)), { level: 9 }).length;
const sum = (keys) => [...keys].reduce((total, key) => total + gzipped(key), 0);
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

const entries = scripts.filter((key) => manifest[key].isEntry);
const pages = loaded(entries, true);
const total = sum(pages);
const charts = sum(scripts.filter((key) => !pages.has(key)));
console.log(`Script, gzipped: ${kB(sum(loaded(entries, false)))} the shell, ${kB(total)} with all pages (limit ${kB(LIMIT)}), charts ${kB(charts)} more.`);
if (entries.length === 0 || total > LIMIT) {
  console.error("The page's script is past its limit: load less at once.");
  process.exit(1);
}
