import { createHash } from "node:crypto";
import { fdatasync, writeSync } from "node:fs";
import { open, readFile, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { codeOf } from "../disk/code-of.js";
import { syncFolder } from "../disk/folder.js";
import type { ReporterSettings } from "./options.js";

/** What the next run has to know of this one's session, however this one ends. */
export interface SessionState {
  readonly sessionId: string;
  readonly source: ReporterSettings["source"];
  /** Of the machine's run in which this was written. */
  readonly bootId: string;
  /** No number from here on has been taken, as long as the machine runs. */
  readonly taken: bigint;
  /** No number from here on has been taken, even if the machine's power went. */
  readonly reserved: bigint;
  /** Of every number below, a line was written that tells what became of it; of those from here on, perhaps. */
  readonly written: bigint;
}

const SLOT_BYTES = 4_096;
const FILE = "session";

/**
 * A small file that holds a session's state, written in place without waiting for the disk: a killed process leaves what it
 * wrote last. Two slots take turns, so that one that is torn by a power cut leaves the one before.
 */
export class SessionFile {
  #generation: number;

  private constructor(
    private readonly folder: string,
    private readonly handle: FileHandle,
    /** What an earlier run has left; null where there was none. */
    readonly found: SessionState | null,
    generation: number,
  ) {
    this.#generation = generation;
  }

  /** @param folder one that this process alone uses */
  static async open(folder: string): Promise<SessionFile> {
    const path = join(folder, FILE);
    const octets = await readFile(path).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    const slots = [0, SLOT_BYTES].flatMap((begin) => readSlot(octets.subarray(begin, begin + SLOT_BYTES)) ?? []);
    const newest = slots.sort((left, right) => right.generation - left.generation)[0];
    const handle = await open(path, octets.length > 0 ? "r+" : "w+", 0o600);
    return new SessionFile(folder, handle, newest?.state ?? null, newest?.generation ?? 0);
  }

  /** Some microseconds, about. @throws what the system says */
  write(state: SessionState): void {
    this.#generation += 1;
    const octets = slotOf(this.#generation, state);
    writeSync(this.handle.fd, octets, 0, octets.length, (this.#generation % 2) * SLOT_BYTES);
  }

  /** Resolves once the disk has it. */
  async sync(): Promise<void> {
    await promisify(fdatasync)(this.handle.fd);
    await syncFolder(this.folder);
  }

  /** Ends the session: the next run has one of its own. */
  async remove(): Promise<void> {
    await unlink(join(this.folder, FILE)).finally(() => this.close());
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** This run of the machine; another one's each time where the system doesn't say. */
export async function readBootId(): Promise<string> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return id.trim() || `unknown-${String(process.hrtime.bigint())}-${process.pid}`;
}

function slotOf(generation: number, { taken, reserved, written, ...rest }: SessionState): Buffer {
  const numbers = { taken: String(taken), reserved: String(reserved), written: String(written) };
  const text = JSON.stringify({ generation, ...rest, ...numbers });
  const octets = Buffer.alloc(SLOT_BYTES, " ");
  octets.write(`${checksumOf(text)} ${text}\n`);
  return octets;
}

function readSlot(octets: Buffer): { readonly generation: number; readonly state: SessionState } | null {
  const [, checksum, text] = /^([0-9a-f]{64}) (.*)\n/.exec(octets.toString("utf8")) ?? [];
  if (text === undefined || checksumOf(text) !== checksum) return null;
  const { generation, taken, reserved, written, ...rest } = JSON.parse(text) as SlotJson;
  const numbers = { taken: BigInt(taken), reserved: BigInt(reserved), written: BigInt(written) };
  return { generation, state: { ...rest, ...numbers } };
}

interface SlotJson extends Omit<SessionState, "taken" | "reserved" | "written"> {
  readonly generation: number;
  readonly taken: string;
  readonly reserved: string;
  readonly written: string;
}

const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex");
