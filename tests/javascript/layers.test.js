import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const STATIC = fileURLToPath(new URL("../../dashboard/static/dashboard", import.meta.url));
/** What the modules of each folder may import, besides their own folder and the client. */
const MAY_IMPORT = /** @type {Record<string, string[]>} */ ({
  lib: [],
  chart: ["lib"],
  "pages/account": ["lib"],
  "pages/dashboard": ["lib", "chart"],
  "pages/devices": ["lib"],
});
const PAGES = Object.keys(MAY_IMPORT).filter((folder) => folder.startsWith("pages/"));
const MODULES = readdirSync(STATIC, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".js"));

/** The modules that a module imports. @param {string} module @returns {string[]} paths below STATIC */
function importsOf(module) {
  const text = readFileSync(resolve(STATIC, module), "utf8");
  return [...text.matchAll(/^import [^"]*"([^"]+)";$/gm)].map(([, path]) =>
    relative(STATIC, resolve(STATIC, dirname(module), path)),
  );
}

for (const module of MODULES)
  test(`${module} imports no module of a higher layer`, () => {
    const folder = dirname(module);
    const allowed = [folder, ...MAY_IMPORT[folder]];
    const foreign = importsOf(module).filter(
      (path) => !path.startsWith("../wattstream-client/") && !allowed.includes(dirname(path)),
    );
    assert.deepEqual(foreign, []);
  });

test("every module is loaded by a page", () => {
  const loaded = new Set(["lib/theme.js"]); // a classic script
  const load = (/** @type {string} */ module) => {
    if (loaded.has(module) || module.startsWith("..")) return;
    loaded.add(module);
    importsOf(module).forEach(load);
  };
  for (const page of PAGES) load(`${page}/page.js`);
  assert.deepEqual(MODULES.filter((module) => !loaded.has(module)), []);
});
