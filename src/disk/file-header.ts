import { randomUUID } from "node:crypto";
import { LineSeal } from "./line-seal.js";

/** A first line: the form of what follows, and a run that no other file has. @param format such as `auditql-spool/1` */
export function newHeader(key: Buffer, format: string): { readonly text: string; readonly seal: LineSeal } {
  const run = randomUUID();
  const payload = JSON.stringify({ format, run });
  return { text: headerSeal(key).write(0, payload), seal: new LineSeal(key, run) };
}

/** Null where the line isn't the header of a file of this form that was made with this key. */
export function readHeader(key: Buffer, format: string, text: string): LineSeal | null {
  const line = headerSeal(key).read(text);
  if (line?.number !== 0) return null;
  const header = JSON.parse(line.payload) as { readonly format: string; readonly run: string };
  return header.format === format ? new LineSeal(key, header.run) : null;
}

const headerSeal = (key: Buffer): LineSeal => new LineSeal(key, "header");
