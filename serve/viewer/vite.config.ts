// One script, one style sheet, no source maps; the same source gives the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const FILES = ["index.html", "package-lock.json", "vite.config.ts"];

/** SHA-256 over the name and the bytes of every source file; tests/serve/viewer compares it with the files. */
function digestOfSource(): string {
  const folders = ["public", "src"].flatMap((folder) => readdirSync(HERE + folder).map((name) => `${folder}/${name}`));
  const names = [...FILES, ...folders].sort();
  const digest = createHash("sha256");
  for (const name of names)
    digest
      .update(`${name}\n`)
      .update(readFileSync(HERE + name))
      .update("\n");
  return digest.digest("hex");
}

const stamp: Plugin = {
  name: "stamp",
  generateBundle() {
    const source = `${JSON.stringify({ source_sha256: digestOfSource() })}\n`;
    this.emitFile({ type: "asset", fileName: "build.json", source });
  },
};

export default defineConfig({
  root: HERE,
  plugins: [stamp],
  // NiiVue can open Zarr, the page does not: without its codecs the bundle has half the size and needs no WebAssembly.
  resolve: { alias: { zarrita: `${HERE}src/no_zarr.ts` } },
  build: {
    outDir: "../osteon/serve/static",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    license: { fileName: "licenses.md" },
    chunkSizeWarningLimit: 2000,
  },
});
