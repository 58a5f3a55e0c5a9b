import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { chmod, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { codeOf } from "../disk/code-of.js";
import { createOnce } from "../disk/create-once.js";
import { provisionError } from "./error.js";

const folderName = "logins";
const iterations = 4096;

/** The file that keeps the password of a login of one server. */
export function passwordFile(dataDir: string, login: string, server: string): string {
  return join(dataDir, folderName, `${encodeURIComponent(login)}@${server}`);
}

/**
 * The password kept in the file; where there is none, a new one is kept first, safe from a crash and readable to the
 * file's owner alone (0600, its folder 0700). Any number of processes may ask at once: all get the same.
 * @throws ProvisionError where the file can't be read or written
 */
export async function readOrMakePassword(file: string): Promise<string> {
  try {
    return (await readKept(file)) ?? (await make(file));
  } catch (cause) {
    const problem = `A login's password can't be kept in ${file} (${codeOf(cause) ?? "unknown"}).`;
    throw provisionError({ problem, remedy: "Set DATA_DIR to a folder that can be written.", sql: [] }, cause);
  }
}

/**
 * What PostgreSQL stores of a password (RFC 5803), made here: so the password itself is never part of a statement, and
 * of no log of the server.
 */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(16);
  const salted = await promisify(pbkdf2)(password, salt, iterations, 32, "sha256");
  const hmac = (text: string): Buffer => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

async function readKept(file: string): Promise<string | undefined> {
  try {
    const kept = (await readFile(file, "utf8")).trim();
    if (kept === "") throw new Error("The file is empty.");
    await chmod(file, 0o600);
    return kept;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The password has to be on the disk before the server learns of it. */
async function make(file: string): Promise<string> {
  const folder = join(file, "..");
  // Entered, though not listed, by the user that the embedded PostgreSQL runs as where we are root.
  await mkdir(join(folder, ".."), { recursive: true, mode: 0o711 });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await createOnce(file, `${randomBytes(24).toString("base64url")}\n`);
  const made = await readKept(file);
  if (made === undefined) throw new Error("The file was removed while it was being made.");
  return made;
}
