import { isAbsolute, relative } from "node:path";

/** A path as one pastes it into a shell that is in this process's folder: the shorter way there, quoted where it has to be. */
export function shellPath(path: string): string {
  const near = relative(process.cwd(), path);
  const shown = /^(-|\.\.|$)/.test(near) || isAbsolute(near) ? path : near;
  return /^[\w./@:+-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}
