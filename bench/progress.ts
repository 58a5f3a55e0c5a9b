/** Tells on stderr what is being done, so that stdout holds the tables alone. */
export function progress(message: string): void {
  const seconds = (performance.now() / 1000).toFixed(0).padStart(4);
  process.stderr.write(`bench ${seconds}s  ${message}\n`);
}
