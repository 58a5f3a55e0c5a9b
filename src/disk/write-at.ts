import type { FileHandle } from "node:fs/promises";

/** Writes all of the octets, however many the system takes at a time. It doesn't wait for the disk. */
export async function writeAt(handle: FileHandle, octets: Buffer, offset: number): Promise<void> {
  for (let written = 0; written < octets.length;) {
    const { bytesWritten } = await handle.write(octets, written, octets.length - written, offset + written);
    written += bytesWritten;
  }
}
