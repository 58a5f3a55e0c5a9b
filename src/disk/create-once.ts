import { randomUUID } from "node:crypto";
import { link, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "./code-of.js";
import { syncFolder } from "./folder.js";

/**
 * Makes a file of the owner's alone (0600), unless it is there. It is written beside its place and linked there: whoever reads
 * sees it whole, and of all that make it at once the first wins. Its content is on the disk before it has its name, and the
 * name before this resolves.
 *
 * @throws what the system says of its folder
 */
export async function createOnce(file: string, content: string | Buffer): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await link(draft, file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    await handle.close();
    await unlink(draft);
  }
  await syncFolder(dirname(file));
}
